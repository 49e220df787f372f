//! What a token endpoint says, and what becomes of it on the way.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::testing::answers::{Grant, LIVES, Lifetime, Meaning, TokenAnswer, Writing};
use crate::{HttpResponse, Timestamp, TransportError, TransportErrorKind};

type Reply = Result<HttpResponse, TransportError>;

/// Anything that can come back for a token request: tokens in every way to write them, OAuth errors,
/// redirects, pages, garbage, bodies that are cut off, too deep or too large, and no answer.
pub fn responses() -> impl Strategy<Value = Reply> {
    let status = || {
        prop_oneof![
            2 => Just(200u16),
            2 => select(&[201, 204, 301, 302, 307, 400, 401, 403, 404, 429, 500, 502, 503][..]),
            1 => 100..1000u16,
        ]
    };
    let said = (token_answers(), 1..4u64).prop_map(|(answer, number)| {
        let now = Timestamp::from_millis(1_700_000_000_000);
        answer
            .reply(
                "grant_type=refresh_token&refresh_token=SECRET-sent",
                number,
                now,
            )
            .1
    });
    let cut = (grants(), writings(), any::<proptest::sample::Index>());
    let cut = cut.prop_map(|(grant, writing, at)| {
        let whole = TokenAnswer::Written(grant, writing);
        let reply = whole.reply("", 1, Timestamp::from_millis(0)).1;
        reply.map(|reply| {
            let length = at.index(reply.body().len().max(1));
            let body = reply.body().get(..length).unwrap_or_default();
            HttpResponse::new(reply.status(), body)
        })
    });
    let tokens_elsewhere = (status(), grants(), writings()).prop_map(|(status, grant, writing)| {
        let whole = TokenAnswer::Written(grant, writing);
        let reply = whole.reply("", 1, Timestamp::from_millis(0)).1;
        reply.map(|reply| HttpResponse::new(status, reply.body()))
    });
    let garbage = (status(), vec(any::<u8>(), 0..200));
    let page = "<!doctype html><title>Error</title><h1>Something went wrong</h1>";
    let odd = select(&[Odd::Page, Odd::Deep, Odd::TooLarge][..]);
    let odd = (status(), odd).prop_map(move |(status, odd)| {
        let body = match odd {
            Odd::Page => page.to_owned(),
            Odd::Deep => "[".repeat(100_000),
            Odd::TooLarge => " ".repeat(HttpResponse::MAX_BODY + 1),
        };
        Ok(HttpResponse::new(status, body))
    });
    prop_oneof![
        12 => said,
        2 => cut,
        2 => tokens_elsewhere,
        2 => garbage.prop_map(|(status, body)| Ok(HttpResponse::new(status, body))),
        2 => odd,
        2 => transport_errors().prop_map(Err),
    ]
}

#[derive(Clone, Copy, Debug)]
enum Odd {
    Page,
    Deep,
    TooLarge,
}

/// No answer, for any reason.
pub fn transport_errors() -> impl Strategy<Value = TransportError> {
    use TransportErrorKind::{
        Cancelled, Closed, Connect, Dns, Other, Protocol, Timeout, Tls, TooLarge,
    };
    const NEVER_SENT: [TransportErrorKind; 2] = [Connect, Dns];
    let unsent = select(&NEVER_SENT[..]).prop_map(|kind| (kind, false));
    let kinds = [Closed, Timeout, Tls, Protocol, TooLarge, Cancelled, Other];
    let either = (select(kinds.to_vec()), any::<bool>());
    prop_oneof![1 => unsent, 3 => either].prop_map(|(kind, may_have_been_sent)| TransportError {
        kind,
        may_have_been_sent,
    })
}

/// Anything that a token endpoint may say, with what it means.
pub fn token_answers() -> impl Strategy<Value = TokenAnswer> {
    let plain = grants().prop_map(TokenAnswer::Tokens);
    let written = (grants(), writings()).prop_map(|(grant, how)| TokenAnswer::Written(grant, how));
    let refusals = failures(|means| means == Meaning::InvalidGrant);
    prop_oneof![3 => plain, 5 => written, 6 => failures(|_| true), 2 => losses(), 1 => refusals]
}

/// Nothing that lasts, nothing that ends the attempts, and nothing that asks for patience: what a
/// program must not answer with a storm of requests.
pub fn hopeless_answers() -> impl Strategy<Value = TokenAnswer> {
    const DEAD: [Lifetime; 3] = [Lifetime::Zero, Lifetime::Lasts(0), Lifetime::Lasts(1000)];
    let plain = grants_of(&DEAD).prop_map(TokenAnswer::Tokens);
    let written = (grants_of(&DEAD), writings());
    let written = written.prop_map(|(grant, how)| TokenAnswer::Written(grant, how));
    let hasty = failures(|means| means.retry_after().is_some_and(|asked| asked <= 1000));
    prop_oneof![plain, written, hasty, losses()]
}

/// Tokens of any life, with and without a refresh token.
pub fn grants() -> impl Strategy<Value = Grant> {
    grants_of(&LIVES)
}

fn grants_of(lives: &'static [Lifetime]) -> impl Strategy<Value = Grant> {
    (any::<bool>(), any::<bool>(), select(lives)).prop_map(|(refresh, scope, life)| Grant {
        number: 0,
        refresh,
        scope,
        life,
    })
}

fn writings() -> impl Strategy<Value = Writing> {
    (0..Writing::COUNT).prop_map(Writing::numbered)
}

fn failures(which: impl Fn(Meaning) -> bool) -> impl Strategy<Value = TokenAnswer> {
    let all = 0..TokenAnswer::FAILURES;
    let some = all.filter(|at| which(TokenAnswer::failure_means(*at)));
    select(some.collect::<Vec<_>>()).prop_map(TokenAnswer::Failure)
}

fn losses() -> impl Strategy<Value = TokenAnswer> {
    (0..TokenAnswer::LOSSES).prop_map(TokenAnswer::Lost)
}
