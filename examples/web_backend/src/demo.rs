//! Two processes, one Redis, a balancer, a fake provider, and people.

use std::env;
use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};

use authflow::testing::{Endpoint, FakeProvider, Person, Rotation};
use web_backend::browser::Browser;
use web_backend::redis_server::RedisServer;
use web_backend::{Error, balancer};

pub fn run() -> Result<(), Error> {
    let mut redis = Command::new("redis-server");
    if let Err(error) = redis.arg("--version").output() {
        return Err(format!(
            "this needs the program redis-server, which can't be run ({error}); \
             install it (Debian: apt-get install redis-server)"
        )
        .into());
    }
    let front = TcpListener::bind("127.0.0.1:0")?;
    let site = format!("http://{}", front.local_addr()?);
    let provider = FakeProvider::builder()
        .client_secret("a secret")
        .redirect_uris([format!("{site}/callback")])
        .rotation(Rotation::EveryRefresh {
            reuse_detection: true,
        })
        .with_revocation()
        .start()?;
    let redis = RedisServer::start();
    let mut processes = [
        Process::start(&provider, &redis, &site)?,
        Process::start(&provider, &redis, &site)?,
    ];
    balancer::start_at(front, processes.iter().map(|it| it.address).collect())?;
    println!("Two processes, one Redis, a fake provider; in front of both a balancer at {site}.\n");
    let me = format!("{site}/me");
    let refreshes = || {
        let requests = provider.requests(Endpoint::Token).into_iter();
        let refreshes = requests.filter(|it| it.grant_type() == Some("refresh_token"));
        refreshes.count()
    };

    let (mut laptop, mut phone) = (Browser::new(), Browser::new());
    let back = Person::redirect_as(&laptop.begin(&site)?, "alice")?;
    println!("Alice's laptop began to sign in at one process. An attacker has seen the callback:");
    println!(
        "  HTTP {} in the attacker's browser",
        Browser::new().get(&back)?.status
    );
    let mut copy = laptop.clone();
    let status = laptop.get(&back)?.status;
    println!("  HTTP {status} in Alice's, at the other process: she is signed in");
    println!("  HTTP {} for a second copy of it", copy.get(&back)?.status);

    phone.sign_in(&site, "alice")?;
    let mut other = Browser::new();
    other.sign_in(&site, "bob")?;
    println!("\nAlice signs in at her phone, too, and Bob at his computer. Each asks four times:");
    for (whose, browser) in [
        ("laptop", &mut laptop),
        ("phone", &mut phone),
        ("Bob's", &mut other),
    ] {
        let mut names = Vec::new();
        for _ in 0..4 {
            names.push(name(&browser.get(&me)?.body));
        }
        println!("  {whose}: {}", names.join(", "));
    }

    provider.expire_access_tokens();
    for _ in 0..4 {
        laptop.get(&me)?;
        phone.get(&me)?;
    }
    println!(
        "\nAlice's token has ended. Eight calls at two processes, refreshes: {}",
        refreshes()
    );

    processes[0].kill();
    println!("\nOne process is killed.");
    println!(
        "  laptop: {}, phone: {}",
        name(&laptop.get(&me)?.body),
        name(&phone.get(&me)?.body)
    );
    processes[0] = Process::start(&provider, &redis, &site)?;

    let forged = laptop.post(
        &format!("{site}/log-out-everywhere"),
        &[("csrf", "a guess")],
    )?;
    println!(
        "\nAnother site's form that would log Alice out: HTTP {}",
        forged.status
    );
    laptop.press(&site, "/log-out-everywhere")?;
    println!("Alice presses «Sign out everywhere» at her laptop.");
    println!("  laptop: HTTP {}", laptop.get(&me)?.status);
    println!("  phone: HTTP {}", phone.get(&me)?.status);
    println!("  Bob: {}", name(&other.get(&me)?.body));
    println!(
        "  revocations at the provider: {}",
        provider.requests(Endpoint::Revocation).len()
    );
    Ok(())
}

fn name(json: &str) -> String {
    let me: Result<serde_json::Value, _> = serde_json::from_str(json);
    let name = me
        .ok()
        .and_then(|me| Some(me["display_name"].as_str()?.to_owned()));
    name.unwrap_or_else(|| "nobody".to_owned())
}

/// Another process of the backend. It ends with this one, by its own id.
struct Process {
    child: Child,
    address: SocketAddr,
}

impl Process {
    fn start(provider: &FakeProvider, redis: &RedisServer, site: &str) -> Result<Self, Error> {
        let mut child = Command::new(env::current_exe()?)
            .args(["serve", "--port", "0", "--public-url", site])
            .env("REDIS_URL", redis.url())
            .env_remove("PENDING_REDIS_URL")
            .env("CLIENT_ID", provider.client_id())
            .env(
                "CLIENT_SECRET",
                provider.client_secret().unwrap_or_default(),
            )
            .env("AUTHORIZATION_ENDPOINT", provider.authorization_endpoint())
            .env("TOKEN_ENDPOINT", provider.token_endpoint())
            .env("REVOCATION_ENDPOINT", provider.revocation_endpoint())
            .env("ME_URL", provider.me_url())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut line = String::new();
        let out = child.stdout.take().ok_or("no output")?;
        BufReader::new(out).read_line(&mut line)?;
        let address = line.trim().rsplit('/').next().unwrap_or_default();
        match address.parse() {
            Ok(address) => Ok(Self { child, address }),
            Err(_) => {
                let _ = child.kill();
                Err("a process of the backend does not start".into())
            }
        }
    }

    fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
