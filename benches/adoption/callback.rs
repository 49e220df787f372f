//! Reads a callback, where a library leaves that to its user.

/// The code, or why there is none; `None` if it is not the answer to this login.
pub fn read(query: &str, state: &str) -> Option<Result<String, String>> {
    let pairs: Vec<_> = url::form_urlencoded::parse(query.as_bytes()).collect();
    let once = |name: &str| {
        let mut values = pairs.iter().filter(|(key, _)| key == name);
        let (_, value) = values.next()?;
        values.next().is_none().then_some(&**value)
    };
    if once("state") != Some(state) {
        return None;
    }
    Some(match (once("code"), once("error")) {
        (Some(code), None) => Ok(code.to_owned()),
        (_, Some(error)) => Err(format!("refused: {error}")),
        (_, None) => Err("no code".to_owned()),
    })
}
