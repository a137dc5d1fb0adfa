//! Keeps passwords out of what is shown. In a URI a password is found by its place, in other people's messages by its
//! text.

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

const MASK: &str = "***";

/// A store's URI as it may be shown: `***` in place of user and password, and in place of the options.
///
/// ```
/// use idem_core::config::masked;
///
/// assert_eq!(masked("redis://app:p%40ss@h1:6379/0?acks=1"), "redis://***@h1:6379/0?***");
/// assert_eq!(masked("redb:./payments.idem"), "redb:./payments.idem");
/// ```
#[must_use]
pub fn masked(uri: &str) -> String {
    let (head, query) = uri.split_once('?').map_or((uri, None), |(head, query)| (head, Some(query)));
    if query.is_some_and(|query| query.contains('@')) {
        // Perhaps there is a password with a `?` in it: then all of the target may belong to it.
        return format!("{}{MASK}", &head[..target_start(head)]);
    }
    let head = match head.rfind('@') {
        Some(at) => format!("{}{MASK}{}", &head[..target_start(&head[..at])], &head[at..]),
        None => head.to_owned(),
    };
    if query.is_some() { format!("{head}?{MASK}") } else { head }
}

/// Whether an option of this name holds a secret.
pub(super) fn is_secret(option: &str) -> bool {
    let option = option.to_ascii_lowercase();
    option.contains("password") || option.contains("secret")
}

/// The texts among one store's options that must not be shown.
#[derive(Default)]
pub(super) struct Secrets {
    texts: Vec<String>,
    /// Whether it cannot be told which parts are secret.
    unclear: bool,
}

impl Secrets {
    pub(super) fn of_uri(target: &str, query: &str) -> Self {
        let mut secrets = Self::default();
        secrets.add_user_info(target);
        for pair in query.split('&') {
            let name = pair.split('=').next().unwrap_or_default();
            // Perhaps from a password with a `?` in it.
            secrets.unclear |= pair.contains('@') && !is_secret(name);
        }
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            secrets.add_option(&name, &value);
        }
        secrets
    }

    pub(super) fn of_table(table: &Map<String, Value>) -> Self {
        let mut secrets = Self::default();
        for (name, value) in table {
            secrets.add_value(name, value);
        }
        secrets
    }

    /// The message without the secrets.
    pub(super) fn hide(&self, message: String) -> String {
        if self.unclear {
            return "an option cannot be read; an @ behind the first ? may be part of a password, so nothing is \
                    shown: write a ? in a password as %3F, and an @ in an option as %40"
                .to_owned();
        }
        self.texts.iter().fold(message, |message, text| message.replace(text, MASK))
    }

    fn add_value(&mut self, name: &str, value: &Value) {
        match value {
            Value::Object(table) => {
                for (inner, value) in table {
                    self.add_value(if is_secret(name) { name } else { inner }, value);
                }
            }
            Value::Array(values) => values.iter().for_each(|value| self.add_value(name, value)),
            Value::String(text) => self.add_option(name, text),
            Value::Number(number) => self.add_option(name, &number.to_string()),
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn add_option(&mut self, name: &str, value: &str) {
        if is_secret(name) {
            self.add(value);
        } else if value.contains('@') {
            self.add_user_info(value);
        }
    }

    /// The part before the last `@`, and what in it may be the password.
    fn add_user_info(&mut self, text: &str) {
        let Some((before, _)) = text.rsplit_once('@') else { return };
        self.add_decoded_too(before);
        let behind_colon = |text: &str| text.split_once(':').map(|(_, behind)| behind.to_owned());
        let Some(behind) = behind_colon(before) else { return };
        self.add_decoded_too(&behind);
        // The colon was that of a scheme.
        if let Some(user_info) = behind.strip_prefix("//") {
            self.add_decoded_too(user_info);
            if let Some(password) = behind_colon(user_info) {
                self.add_decoded_too(&password);
            }
        }
    }

    fn add_decoded_too(&mut self, text: &str) {
        self.add(text);
        self.add(&percent_decode_str(text).decode_utf8_lossy());
    }

    fn add(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        // Escaped, as a message shows it between quotation marks.
        let quoted = format!("{text:?}");
        self.texts.push(quoted[1..quoted.len() - 1].to_owned());
        self.texts.push(text.to_owned());
        // The longest first: one may be a part of another.
        self.texts.sort_by_key(|text| std::cmp::Reverse(text.len()));
    }
}

/// Where a URI's target begins.
fn target_start(uri: &str) -> usize {
    let colon = uri.find(':').map_or(0, |colon| colon + 1);
    if uri[colon..].starts_with("//") { colon + 2 } else { colon }
}
