//! The codes that the program of a server has: each is in the table, or nothing that is sent here can bring it about.

use std::collections::BTreeSet;

use idem_servers::redis::Server;

use crate::protocol::errors::table::TABLE;

/// Codes that answer other commands, or other ways of speaking, than idem's.
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
async fn every_code_of_the_servers_program_is_in_the_table_or_is_never_an_answer_to_idem() {
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

/// Of texts as a program has them: `-READONLY You can't write against a read only replica.`
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
