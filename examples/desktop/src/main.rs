//! A desktop program that logs a person in: the machine in a window.
//!
//! ```text
//! cargo run -p authflow-desktop-example                          a fake provider, on this machine
//! SPOTIFY_CLIENT_ID=… cargo run -p authflow-desktop-example      Spotify
//! cargo run -p authflow-desktop-example -- --help                any other provider
//! ```
//!
//! The window's frame loop drives the machine ([`model`]); whatever takes time is done by threads
//! ([`workers`], [`keeper`]). What is to be seen is made without a window ([`screen`]) and drawn with
//! egui ([`paint`]).

mod api;
mod config;
mod jobs;
mod keeper;
mod model;
mod paint;
mod screen;
mod words;
mod workers;

use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use authflow::Timestamp;
use eframe::egui;

use config::{Config, USAGE};
use model::Model;
use screen::Screen;
use workers::Workers;

fn main() -> ExitCode {
    if std::env::args().any(|arg| arg == "--help") {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let spotify = std::env::var("SPOTIFY_CLIENT_ID").ok();
    let config = Config::from_args(std::env::args().skip(1), spotify);
    let ran = config.and_then(|config| run(config).map_err(|error| error.to_string()));
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(config: Config) -> eframe::Result {
    let options = eframe::NativeOptions {
        viewport: egui::ViewportBuilder::default()
            .with_title(title("Starting"))
            .with_inner_size([520.0, 620.0])
            .with_min_inner_size([360.0, 320.0]),
        ..Default::default()
    };
    eframe::run_native(
        "authflow-desktop",
        options,
        Box::new(|context| Ok(Box::new(Window::new(config, &context.egui_ctx)))),
    )
}

fn title(state: &str) -> String {
    format!("authflow desktop: {state}")
}

struct Window {
    model: Model,
    provider: String,
    shown: &'static str,
    trace: Option<Trace>,
    /// It ends with the window.
    _fake: Option<authflow::testing::FakeProvider>,
}

impl Window {
    fn new(config: Config, ctx: &egui::Context) -> Self {
        paint::set_style(ctx);
        if let Some(is_dark) = config.is_dark {
            ctx.set_theme(theme(is_dark));
        }
        let window = ctx.clone();
        let (workers, reports) = Workers::start(
            config.client.clone(),
            config.store,
            config.me_url,
            config.port,
            move || window.request_repaint(),
        );
        let give = Box::new(move |job| workers.give(job));
        Self {
            model: Model::new(config.client, give, reports),
            provider: config.provider,
            shown: "Starting",
            trace: config.is_traced.then(Trace::default),
            _fake: config.fake,
        }
    }
}

impl eframe::App for Window {
    fn update(&mut self, ctx: &egui::Context, _frame: &mut eframe::Frame) {
        self.model.pump(Timestamp::now());
        let screen = self.model.screen(Timestamp::now());
        let painted = paint::paint(ctx, &screen, &self.provider);
        if painted.switches_theme {
            ctx.set_theme(theme(!ctx.style().visuals.dark_mode));
        }
        if self.shown != screen.state {
            self.shown = screen.state;
            ctx.send_viewport_cmd(egui::ViewportCommand::Title(title(screen.state)));
        }
        if let Some(trace) = &mut self.trace {
            let serial = self.model.token_serial(Timestamp::now());
            trace.say(&screen, serial, &painted, ctx.pixels_per_point());
        }
        if !painted.presses.is_empty() {
            for press in painted.presses {
                self.model.press(press, Timestamp::now());
            }
            // What it has changed is to be seen in the next frame.
            ctx.request_repaint();
        }
        if ctx.input_mut(|input| input.consume_key(egui::Modifiers::COMMAND, egui::Key::Q)) {
            ctx.send_viewport_cmd(egui::ViewportCommand::Close);
        }
        let wake_in = self.model.wake_in(Timestamp::now());
        ctx.request_repaint_after(match screen.counts_down {
            true => wake_in.min(Duration::from_secs(1)),
            false => wake_in,
        });
    }

    /// The window is gone. What is on its way to the store gets the time to arrive.
    fn on_exit(&mut self, _gl: Option<&eframe::glow::Context>) {
        let closed = Instant::now();
        while self.model.is_saving() && closed.elapsed() < Duration::from_secs(10) {
            thread::sleep(Duration::from_millis(10));
            self.model.pump(Timestamp::now());
        }
    }
}

fn theme(is_dark: bool) -> egui::ThemePreference {
    match is_dark {
        true => egui::ThemePreference::Dark,
        false => egui::ThemePreference::Light,
    }
}

/// Says on standard output what is to be seen, and where the buttons are: one JSON object per line. No
/// address and no secret is in it.
#[derive(Default)]
struct Trace {
    frame: u64,
    last: String,
    said: Option<Instant>,
}

impl Trace {
    fn say(&mut self, screen: &Screen, token: Option<u64>, painted: &paint::Painted, scale: f32) {
        self.frame += 1;
        let places: serde_json::Map<_, _> = painted
            .places
            .iter()
            .map(|(name, place)| {
                let center = place.center() * scale;
                (name.clone(), serde_json::json!([center.x, center.y]))
            })
            .collect();
        let banner = screen.banner.as_ref();
        let person = screen
            .person
            .as_ref()
            .and_then(|person| person.as_ref().ok());
        let scopes = |granted| {
            let scopes = screen
                .scopes
                .iter()
                .filter(|scope| scope.granted == granted);
            scopes.map(|scope| scope.name.clone()).collect::<Vec<_>>()
        };
        let seen = serde_json::json!({
            "state": screen.state,
            "heading": screen.heading,
            "text": screen.text,
            "banner": banner.map(|banner| &banner.title),
            "detail": banner.and_then(|banner| banner.detail.as_ref()),
            "person": person.map(|person| &person.name),
            "granted": scopes(true),
            "missing": scopes(false),
            "token": token,
            "places": places,
        });
        let line = seen.to_string();
        let is_quiet = self
            .said
            .is_some_and(|said| said.elapsed() < Duration::from_millis(200));
        if line == self.last && is_quiet {
            return;
        }
        let mut seen = seen;
        seen["frame"] = self.frame.into();
        println!("{seen}");
        self.last = line;
        self.said = Some(Instant::now());
    }
}
