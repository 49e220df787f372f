//! Counts what the driver takes from a socket, and how long it would wait for more. A server can't
//! tell: what it has written may lie in the kernel unread.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use authflow::http::Http;
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, DefaultConnector, NextTimeout, Transport,
};

use crate::support::raw::lock;

/// Clones are the same meter.
#[derive(Clone, Debug, Default)]
pub struct Meter {
    read: Arc<AtomicUsize>,
    waits: Arc<Mutex<Vec<NextTimeout>>>,
}

impl Meter {
    /// A driver that is metered, and for the rest as ureq would have it.
    pub fn http(&self) -> Http {
        let config = ureq::Agent::config_builder().proxy(None).build();
        let connector = DefaultConnector::default().chain(self.clone());
        let agent = ureq::Agent::with_parts(config, connector, DefaultResolver::default());
        Http::with_agent(agent)
    }

    /// How many bytes were read.
    pub fn read(&self) -> usize {
        self.read.load(Ordering::SeqCst)
    }

    /// How long the driver was ready to wait, each time.
    pub fn waits(&self) -> Vec<NextTimeout> {
        lock(&self.waits).clone()
    }
}

impl<In: Transport> Connector<In> for Meter {
    type Out = Metered<In>;

    fn connect(
        &self,
        _: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        let meter = self.clone();
        Ok(chained.map(|inner| Metered { inner, meter }))
    }
}

#[derive(Debug)]
pub struct Metered<In> {
    inner: In,
    meter: Meter,
}

impl<In: Transport> Transport for Metered<In> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        lock(&self.meter.waits).push(timeout);
        self.inner.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        lock(&self.meter.waits).push(timeout);
        let before = self.inner.buffers().input().len();
        let progress = self.inner.await_input(timeout);
        let read = self.inner.buffers().input().len() - before;
        self.meter.read.fetch_add(read, Ordering::SeqCst);
        progress
    }

    fn is_open(&mut self) -> bool {
        self.inner.is_open()
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}
