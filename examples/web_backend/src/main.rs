//! ```text
//! cargo run -p authflow-web-backend-example            # shows it, with a fake provider and a Redis of its own
//! cargo run -p authflow-web-backend-example -- serve --port N --public-url URL
//! ```
//!
//! `serve` is one process of many. It speaks plain HTTP on 127.0.0.1: put what ends TLS and balances in front
//! of it. Register `PUBLIC_URL/callback` with the provider.
//!
//! Other users of the machine see what a program is called with, and not its environment. So the rest is there:
//!
//! - `CLIENT_ID` and `CLIENT_SECRET`; for another provider than Spotify also `AUTHORIZATION_ENDPOINT`,
//!   `TOKEN_ENDPOINT`, `REVOCATION_ENDPOINT` (if there is one), and `ME_URL`, which answers with the user's `id`;
//! - `REDIS_URL`, with its password: `redis://:PASSWORD@HOST:PORT/0`. Without a password, `--redis URL` does;
//! - `PENDING_REDIS_URL`, if logins that wait are kept in another one. Anybody can begin logins, and so fill it.
//!
//! `--plain-cookies yes` is for browsers that take no `Secure` cookie from `http://127.0.0.1`, while you develop.

mod demo;

use std::env;
use std::process::ExitCode;

use authflow::session::RedisStore;
use authflow::{Client, ClientBuilder, Provider, spotify};
use web_backend::Error;
use web_backend::backend::{Backend, Config};
use web_backend::front::Front;

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let result = match arguments.split_first() {
        None => demo::run(),
        Some((first, rest)) if first == "serve" => serve(rest),
        Some(_) => Err(USAGE.into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("web_backend: {error}");
            ExitCode::FAILURE
        }
    }
}

const USAGE: &str = "usage: web_backend [serve [--redis URL] [--port N] [--public-url URL] [--workers N] [--plain-cookies yes]]; a Redis with a password: REDIS_URL in the environment";
const OPTIONS: [&str; 5] = [
    "--redis",
    "--port",
    "--public-url",
    "--workers",
    "--plain-cookies",
];

fn serve(arguments: &[String]) -> Result<(), Error> {
    let mut pairs = arguments.chunks(2);
    if !pairs.all(|pair| pair.len() == 2 && OPTIONS.contains(&pair[0].as_str())) {
        return Err(USAGE.into());
    }
    let option = |name: &str| {
        let mut pairs = arguments.chunks_exact(2);
        pairs.find_map(|pair| (pair[0] == name).then(|| pair[1].as_str()))
    };
    let redis = redis(option("--redis"))?;
    let port: u16 = option("--port").unwrap_or("8080").parse()?;
    let front = Front::bind(("127.0.0.1", port))?;
    let address = front.address()?;
    let own = format!("http://{address}");
    let public_url = option("--public-url").unwrap_or(&own);
    let (client, me) = client()?;
    let mut config = Config::new(client, &me, public_url, &redis)?;
    if let Ok(other) = env::var("PENDING_REDIS_URL") {
        let other = RedisStore::open(&other)?.prefix("web:");
        config.pending = other.pending_logins();
    }
    if let Some(workers) = option("--workers") {
        config.workers = workers.parse()?;
    }
    config.plain_cookies = option("--plain-cookies") == Some("yes");
    println!("listening at http://{address}");
    Backend::new(config)?.serve(&front);
    Ok(())
}

fn redis(option: Option<&str>) -> Result<String, Error> {
    match option {
        Some(url) if url.contains('@') || url.contains("pass=") => Err(
            "others can see what a program is called with: put an address with a password into the environment, as REDIS_URL, instead of --redis"
                .into(),
        ),
        Some(url) => Ok(url.to_owned()),
        None => Ok(env::var("REDIS_URL").unwrap_or("redis://127.0.0.1:6379/0".to_owned())),
    }
}

fn client() -> Result<(ClientBuilder, String), Error> {
    let (id, secret) = (variable("CLIENT_ID")?, variable("CLIENT_SECRET")?);
    let Ok(authorization) = env::var("AUTHORIZATION_ENDPOINT") else {
        let client = spotify::client(id).secret(secret);
        return Ok((client, "https://api.spotify.com/v1/me".to_owned()));
    };
    let me = variable("ME_URL")?;
    let origin = me.split('/').take(3).collect::<Vec<_>>().join("/");
    let mut provider = Provider::new(&authorization, variable("TOKEN_ENDPOINT")?);
    provider = provider.api_origin(origin);
    if let Ok(revocation) = env::var("REVOCATION_ENDPOINT") {
        provider = provider.revocation_endpoint(revocation);
    }
    if authorization.starts_with("http://") {
        provider = provider.dangerously_allow_http_on_loopback();
    }
    let client = Client::builder(provider, id).secret(secret);
    let scopes = env::var("SCOPES").unwrap_or_default();
    Ok((client.scopes(scopes.split_whitespace()), me))
}

fn variable(name: &str) -> Result<String, Error> {
    env::var(name).map_err(|_| format!("the environment has no {name}").into())
}
