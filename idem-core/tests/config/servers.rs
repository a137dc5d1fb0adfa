//! How servers are named in a URI and in a table.

use std::str::FromStr;

use idem_core::config::servers::{
    Target, decoded, host_and_port, list, split_list, without_password, written,
};
use idem_core::error::Operation;
use idem_core::{Error, ErrorKind};
use proptest::prelude::*;
use serde::Deserialize;

#[test]
fn a_target_has_user_password_servers_and_path() {
    for (raw, user, password, servers, path) in [
        ("u:p@h1:1,h2/db", Some("u"), Some("p"), "h1:1,h2", Some("db")),
        ("us%40er:p%40ss%2Fw:d@h", Some("us@er"), Some("p@ss/w:d"), "h", None),
        ("u@h/", Some("u"), None, "h", Some("")),
        (":p@h", None, Some("p"), "h", None),
        ("@h", None, None, "h", None),
        ("h", None, None, "h", None),
        ("/run/a%20b.sock", None, None, "", Some("run/a%20b.sock")),
        ("u@%2Frun:5433/db", Some("u"), None, "%2Frun:5433", Some("db")),
        // Unencoded, and still in its place.
        ("u:p@ss/w:d@h/db", Some("u"), Some("p@ss/w:d"), "h", Some("db")),
        ("", None, None, "", None),
    ] {
        let target = Target::read(raw).unwrap();
        assert_eq!((target.user.as_deref(), target.password.as_deref()), (user, password), "{raw}");
        assert_eq!((target.servers, target.path), (servers, path), "{raw}");
    }
}

#[test]
fn what_is_not_utf_8_is_refused_and_not_shown() {
    for error in [Target::read("hunter2%FF:p@h").unwrap_err(), decoded("hunter2%FF").unwrap_err()] {
        assert_eq!((error.kind(), error.operation()), (ErrorKind::InvalidConfig, Operation::Configure));
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
}

#[test]
fn a_target_shows_no_part_of_itself() {
    let target = Target::read("user:hunter2").unwrap();
    assert!(!format!("{target:?}").contains("hunter2"), "{target:?}");
}

#[test]
fn hosts_and_ports_are_read_and_written_alike() {
    for (text, shown) in [
        ("127.0.0.1:7000", "127.0.0.1:7000"),
        ("h1", "h1:6379"),
        ("[::1]:7000", "[::1]:7000"),
        ("[::1]", "[::1]:6379"),
        ("::1", "[::1]:6379"),
        ("[fe80::1%eth0]:7000", "[fe80::1%eth0]:7000"),
    ] {
        let (host, port) = host_and_port(text, 6379).unwrap();
        assert_eq!(written(&host, port), shown, "{text}");
    }
}

#[test]
fn what_is_no_host_and_port_is_not_read() {
    for text in [
        "", ":1", "h:", "h:0", "h:65536", "h:port", "a b:1", "[::1:1", "[]:1", "a:b:1", "::g", "u@h:1",
        "/run",
    ] {
        assert_eq!(host_and_port(text, 6379), None, "{text}");
    }
}

#[test]
fn what_may_be_a_password_is_not_shown() {
    for (text, shown) in [
        ("user:hunter2", "user:..."),
        ("user:65536", "user:..."),
        ("user:hunter2@h:1", "...@h:1"),
        ("hunter2@", "...@"),
        ("h:1", "h:1"),
        ("h:", "h:"),
        ("h", "h"),
    ] {
        assert_eq!(without_password(text), shown);
    }
}

#[derive(Debug, PartialEq)]
struct Even(u16);

impl FromStr for Even {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let number = text.parse().ok().filter(|number| number % 2 == 0).map(Self);
        number.ok_or_else(|| Error::new(ErrorKind::InvalidConfig, Operation::Configure, "it is odd"))
    }
}

#[derive(Debug, Deserialize)]
struct Written {
    #[serde(default, deserialize_with = "list")]
    servers: Vec<Even>,
}

#[test]
fn a_list_is_an_array_or_a_text_with_commas() {
    for (toml, servers) in [
        ("servers = '2, 4,,6 '", &[2, 4, 6][..]),
        ("servers = ['2', '4']", &[2, 4]),
        ("servers = ''", &[]),
        ("", &[]),
    ] {
        let written: Written = toml::from_str(toml).unwrap();
        assert_eq!(written.servers.iter().map(|even| even.0).collect::<Vec<_>>(), servers, "{toml}");
    }
    for toml in ["servers = '2,3'", "servers = ['2', '3']"] {
        let mistake = toml::from_str::<Written>(toml).unwrap_err();
        assert!(mistake.message().contains("it is odd"), "{mistake}");
    }
    let mistake = toml::from_str::<Written>("servers = 2").unwrap_err();
    assert!(mistake.message().contains("servers, as a list or with commas between them"), "{mistake}");
}

proptest! {
    #[test]
    fn nothing_that_is_written_causes_a_panic(text in "[ -~é]{0,40}") {
        if let Ok(target) = Target::read(&text) {
            for server in split_list(target.servers) {
                if let Some((host, port)) = host_and_port(server, 1) {
                    prop_assert_eq!(host_and_port(&written(&host, port), 1), Some((host, port)));
                }
            }
        }
        let _ = without_password(&text);
    }
}
