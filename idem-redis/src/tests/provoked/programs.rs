//! The error codes in the binary of a server: each is in the table, or no command of this crate can provoke it.

use std::collections::BTreeSet;

use idem_servers::redis::Server;

use crate::protocol::errors::table::TABLE;

/// Codes that answer only commands or protocol features that idem does not use.
const NEVER: &[(&str, &str)] = &[
    ("BUSYGROUP", "XGROUP"),
    ("BUSYKEY", "RESTORE, MIGRATE"),
    ("EXECABORT", "EXEC"),
    ("INPROG", "SENTINEL FAILOVER"),
    ("INVALIDOBJ", "PFCOUNT and its kin"),
    ("IOERR", "MIGRATE"),
    ("NOGOODPRIMARY", "SENTINEL FAILOVER"),
    ("NOGOODSLAVE", "SENTINEL FAILOVER"),
    ("NOGROUP", "XREADGROUP"),
    ("NOMASTERLINK", "SYNC, PSYNC"),
    ("NOQUORUM", "SENTINEL CKQUORUM"),
    ("NOTBUSY", "SCRIPT KILL"),
    ("REDIRECT", "clients that ask for it by CLIENT CAPA"),
    ("UNKILLABLE", "SCRIPT KILL"),
];

#[tokio::test]
async fn every_error_code_of_the_server_is_in_the_table_or_never_answers_idem() {
    let server = Server::lone().await;
    let program = std::fs::read(format!("/proc/{}/exe", server.pid().unwrap())).unwrap();
    let found = codes(&program);
    assert!(found.contains("WRONGTYPE") && found.contains("DENIED"), "{found:?}");
    for code in found {
        let listed = TABLE.iter().any(|row| row.code == code);
        let is_never = NEVER.iter().any(|(never, _)| *never == code);
        assert!(listed || is_never, "{code} is not in the table");
        assert!(!(listed && is_never), "{code} is in the table, and is said never to come");
    }
}

/// The codes of error texts as they are in a binary: `-READONLY You can't write against a read only replica.`
fn codes(program: &[u8]) -> BTreeSet<String> {
    let texts = program.split(|byte| !(b' '..=b'~').contains(byte));
    let code = |text: &[u8]| {
        let text = std::str::from_utf8(text.strip_prefix(b"-")?).ok()?;
        let code = text.split(' ').next()?;
        let is_code = code.len() >= 3 && code.bytes().all(|byte| byte.is_ascii_uppercase());
        is_code.then(|| code.to_owned())
    };
    texts.filter_map(code).collect()
}
