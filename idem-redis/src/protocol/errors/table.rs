//! Every error that Redis 7.0, Redis 8.2 and Valkey 9.1 answer to the commands of this crate: where it can occur, what is
//! known of the command's effect, and which error of the attempt it becomes.
//!
//! What is known of a script: a server checks memory, disk, replicas and role before the first command that writes, and never
//! again after a write (`SCRIPT_WRITE_DIRTY` in Redis' `script.c`; a test holds each server to it). It checks permissions
//! and command names at every command, and undoes nothing that was written before.

use idem_core::ErrorKind;

use Becomes::{Ask, Demoted, Full, Later, Moved, NoScript, NoWrites, Refused};
use Effect::{Elsewhere, Nothing, Unknown};
use ErrorKind::{Corrupt, InvalidConfig, Unavailable};
use Place::{Call, Hello, Opening, Script, Wait};

/// One error, recognised by its text.
#[derive(Debug)]
pub(crate) struct Row {
    /// The first word of the text.
    pub(crate) code: &'static str,
    /// Where the code does not suffice: the rest of the text contains one of these.
    pub(crate) parts: &'static [&'static str],
    pub(crate) places: &'static [Place],
    pub(crate) effect: Effect,
    pub(crate) becomes: Becomes,
    /// What the operator should know.
    pub(crate) advice: &'static str,
}

/// What the error answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Queries and commands of opening and checking: what the server is, which scripts it has, which server is the master.
    Opening,
    Hello,
    /// A plain command on a record.
    Call,
    /// A script on a record.
    Script,
    Wait,
}

/// What is known of the command's effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    Nothing,
    /// Nothing was done here. Another server must be asked.
    Elsewhere,
    /// The command may have been carried out, in whole or in part.
    Unknown,
}

/// The kind of [`AttemptError`](crate::protocol::errors::attempt_error::AttemptError).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Becomes {
    Moved,
    Ask,
    NoScript,
    Full,
    NoWrites,
    Later,
    /// As `Later`, from a server that is, as far as can be known, no longer a master.
    Demoted,
    Refused(ErrorKind),
}

/// Stands for every error that the table lacks, such as that of a proxy or of a later server version.
pub(crate) const UNLISTED: Row =
    row("", &[], &[Opening, Call, Script, Wait], Unknown, Refused(Unavailable), "unknown to idem");

/// The first row that matches applies.
#[rustfmt::skip]
pub(crate) static TABLE: &[Row] = &[
    row("MOVED", &[], &[Call, Script, Wait], Elsewhere, Moved, "the slot is at another server, and is asked for there"),
    row("ASK", &[], &[Call, Script, Wait], Elsewhere, Ask, "the slot is moving, and the key is asked for where it moves to"),
    row("TRYAGAIN", &[], &[Wait], Nothing, Later, "the slot is moving, and is asked for again"),
    row("CLUSTERDOWN", &[], &[Call, Script, Wait], Nothing, Later, "slots have no master: wait for the failover"),
    // Cannot occur: each script and command has one key.
    row("CROSSSLOT", &[], &[], Nothing, Refused(Unavailable), "a fault of idem"),
    row("NOSCRIPT", &[], &[Script, Wait], Nothing, NoScript, "scripts were flushed, and are sent again"),
    row("OOM", &[], &[Opening, Call, Script], Nothing, Full, "maxmemory is reached: more memory, or a shorter retention"),
    row("MISCONF", &[], &[Opening, Call, Script, Wait], Nothing, NoWrites, "the server cannot write to its disk: give it room"),
    row("NOREPLICAS", &[], &[Opening, Call, Script, Wait], Nothing, NoWrites, "min-replicas-to-write is not met"),
    row("LOADING", &[], &[Opening, Call, Script, Wait], Nothing, Later, "the server is starting"),
    row("BUSY", &[], &[Opening, Call, Script, Wait], Nothing, Later, "somebody's script keeps the server busy: SCRIPT KILL"),
    row("MASTERDOWN", &[], &[Opening, Call, Script, Wait], Nothing, Demoted, "the server is a replica whose master is gone"),
    row("READONLY", &[], &[Opening, Call, Script, Wait], Nothing, Demoted, "the server is a replica: wait for the failover"),
    // Ends a command that has begun to wait.
    row("UNBLOCKED", &[], &[Wait], Unknown, Demoted, "the server became a replica meanwhile, or somebody sent CLIENT UNBLOCK"),
    // The first command of every script reads the key.
    row("WRONGTYPE", &[], &[Call, Script], Nothing, Refused(Corrupt), "the key holds no record: look at it, then remove it by force"),
    row("NOAUTH", &[], &[Opening, Hello, Call, Script, Wait], Nothing, Refused(InvalidConfig), "a password is missing"),
    row("WRONGPASS", &[], &[Hello], Nothing, Refused(InvalidConfig), "the user or the password is wrong"),
    row("NOPERM", &[], &[Opening, Hello, Call, Script, Wait], Nothing, Refused(InvalidConfig), "the user lacks a permission (ACL)"),
    row("NOPROTO", &[], &[Hello], Nothing, Refused(InvalidConfig), "the server does not speak RESP3: Redis 7.0 or later is needed, or Valkey"),
    row("DENIED", &[], &[Hello], Nothing, Refused(InvalidConfig), "the server is in protected mode: give it a password"),
    // Precedes the other rows of `ERR`, since the text repeats the arguments, which could match any of them.
    row("ERR", &["unknown command"], &[Opening, Hello, Call, Script, Wait], Nothing, Refused(InvalidConfig), "the server does not have the command, or has another name for it (rename-command): Redis 7.0 or later is needed, or Valkey"),
    row("ERR", &["max number of clients"], &[Hello], Nothing, Later, "the server has as many clients as it takes (maxclients)"),
    row("ERR", &["killed by user with SCRIPT KILL"], &[Script], Nothing, Later, "the script had written nothing, and is sent again"),
    row("ERR", &["The user executing the script", "ACL failure in script"], &[Opening, Script], Unknown, Refused(InvalidConfig), "the user lacks a permission (ACL), perhaps half-way through a script"),
    row("ERR", &["called from script", "not allowed from script"], &[Opening, Script], Unknown, Refused(InvalidConfig), "the server lacks a command of the scripts, or has another name for it (rename-command)"),
    // A server that is busy with a script still learns of changes of its cluster.
    row("ERR", &["access a non local key", "while the cluster is down", "access a slot not served"], &[Script], Unknown, Later, "the slot moved, or the cluster failed, while a script ran"),
    row("ERR", &["compiling script", "scripting engine", "in script shebang"], &[Opening, Script], Nothing, Refused(InvalidConfig), "the server cannot run the scripts: Lua is missing, or another version's"),
    row("ERR", &["user_script:", "running script"], &[Opening, Script], Unknown, Refused(Unavailable), "a script failed: a fault of idem, or of a record"),
    row("ERR", &["cannot be used with replica instances"], &[Wait], Unknown, Demoted, "the server became a replica meanwhile"),
    row("ERR", &["WAITAOF cannot be used when numlocal"], &[Opening, Wait], Unknown, Refused(InvalidConfig), "the server keeps no append-only file (appendonly)"),
    row("ERR", &["DB index is out of range", "SELECT is not allowed in cluster mode"], &[Opening], Nothing, Refused(InvalidConfig), "the server does not have the database that the configuration names"),
    row("ERR", &["cluster support disabled"], &[Opening, Call], Nothing, Refused(InvalidConfig), "the server is no node of a cluster"),
    row("ERR", &["Protocol error"], &[Call, Script], Nothing, Refused(InvalidConfig), "the server does not take outcomes as large (proto-max-bulk-len)"),
];

impl Row {
    /// The row of `text`.
    pub(crate) fn of(text: &str) -> &'static Self {
        let (code, rest) = text.split_once(' ').unwrap_or((text, ""));
        let is_meant = |row: &&Self| {
            row.code == code && (row.parts.is_empty() || row.parts.iter().any(|part| rest.contains(part)))
        };
        TABLE.iter().find(is_meant).unwrap_or(&UNLISTED)
    }
}

const fn row(
    code: &'static str,
    parts: &'static [&'static str],
    places: &'static [Place],
    effect: Effect,
    becomes: Becomes,
    advice: &'static str,
) -> Row {
    Row { code, parts, places, effect, becomes, advice }
}
