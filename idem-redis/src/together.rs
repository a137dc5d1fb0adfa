//! Calls that come together go together: one script for many keys, where one server has all of them.
//!
//! Most of what a small call costs is the system calls on both sides, and the client library gives every script some
//! of its own. A caller that is alone sends its command as it is. Others queue; whoever is about to call comes along,
//! and the next script does for all. What each is answered is what its command would be answered alone.
//!
//! This is about speed only: whatever is not answered is sent again alone, by `dispatch.rs`.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use fred::types::Value;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{AbortHandle, JoinSet, yield_now};
use tokio::time::{Instant, timeout_at};

use crate::Address;
use crate::connection::Connection;
use crate::crowd::{Counted, Finds};
use crate::fault::{Cause, Fault, of_reply};
use crate::records::bytes_of;
use crate::script::{COMPLETE, Script, TOGETHER};
use crate::wire::Command;

/// Calls that may wait to be sent at one time.
const MOST_WAITING: usize = 16_384;
/// What one script does at most: the server answers nobody else meanwhile.
const MOST_CALLS: usize = 64;
const MOST_BYTES: usize = 128 << 10;
/// One with more goes alone: it gains little, and others would wait for it.
const LARGE: usize = 16 << 10;
/// Keys that are looked at by one command.
const MOST_LOOKS: usize = 32;
/// A command that can go along with others.
pub(crate) enum Joint {
    /// [`Command::SetIfAbsent`].
    SetIfAbsent { key: Value, record: Value, life: i64 },
    /// [`COMPLETE`](crate::script::COMPLETE) with its arguments.
    Complete { key: Value, arguments: Vec<Value> },
}

impl Joint {
    pub(crate) fn alone(self) -> Command {
        match self {
            Self::SetIfAbsent { key, record, life } => Command::SetIfAbsent { key, record, life },
            Self::Complete { key, arguments } => Command::script(&COMPLETE, false, vec![key], arguments),
        }
    }

    fn bytes(&self) -> usize {
        let length = |value: &Value| bytes_of(value).map_or(0, bytes::Bytes::len);
        match self {
            Self::SetIfAbsent { record, .. } => length(record),
            Self::Complete { arguments, .. } => arguments.iter().map(length).sum(),
        }
    }

    /// As `together.lua` wants it.
    fn join(self, keys: &mut Vec<Value>, all: &mut Vec<Value>) {
        match self {
            Self::SetIfAbsent { key, record, life } => {
                keys.push(key);
                all.extend([Value::Integer(2), Value::Integer(life), record]);
            }
            Self::Complete { key, arguments } => {
                keys.push(key);
                // A handful.
                all.push(Value::Integer(i64::try_from(arguments.len()).unwrap_or(i64::MAX)));
                all.extend(arguments);
            }
        }
    }
}

/// Those who share the scripts of one connection.
pub(crate) struct Together {
    connection: Arc<Connection>,
    /// Callers that have no answer yet.
    callers: AtomicUsize,
    finds: Finds,
    waiting: mpsc::Sender<Waiting>,
    /// Ends with this, and with it what it has sent.
    task: AbortHandle,
}

struct Waiting {
    call: Call,
    answer: Caller,
}

type Caller = oneshot::Sender<Result<Value, Fault>>;

enum Call {
    Joint(Joint),
    /// Whether a key is on record, and what.
    Look(Value),
}

impl Together {
    pub(crate) fn start(connection: Arc<Connection>) -> Self {
        let (waiting, queue) = mpsc::channel(MOST_WAITING);
        let task = tokio::spawn(serve(Arc::clone(&connection), queue)).abort_handle();
        Self { connection, callers: AtomicUsize::new(0), finds: Finds::default(), waiting, task }
    }

    /// Sends `joint`, alone or with others, once.
    ///
    /// # Cancel safety
    /// That of [`Connection::carry`].
    pub(crate) async fn carry(&self, joint: Joint, until: Instant) -> Result<Value, Fault> {
        let counted = Counted::among(&self.callers);
        let is_lock = matches!(joint, Joint::SetIfAbsent { .. });
        let answer = if counted.is_alone || joint.bytes() > LARGE {
            self.connection.carry(joint.alone(), false, Some(until)).await
        } else if let Joint::SetIfAbsent { key, .. } = &joint
            && self.finds.are_many()
        {
            match self.queue(Call::Look(key.clone()), until).await {
                // Not there, or the user may not look so: the command itself tells.
                Ok(Value::Null) | Err(Fault::Refused(..)) => {
                    self.connection.carry(joint.alone(), false, Some(until)).await
                }
                found => found,
            }
        } else {
            self.queue(Call::Joint(joint), until).await
        };
        if is_lock && let Ok(record) = &answer {
            self.finds.note(!matches!(record, Value::Null));
        }
        answer
    }

    async fn queue(&self, call: Call, until: Instant) -> Result<Value, Fault> {
        let (answer, answered) = oneshot::channel();
        if self.waiting.try_send(Waiting { call, answer }).is_err() {
            let address = self.connection.address();
            return Err(Fault::Later(Cause::new(format!("{address} does not keep up, or is given up"))));
        }
        // Whoever sends it looks after the connection, and waits for two answers at most. A timer of each caller's own
        // costs as much as the rest of this.
        let answer = if until > Instant::now() + self.connection.response_timeout() * 2 {
            answered.await
        } else {
            timeout_at(until, answered).await.map_err(|_| Fault::OutOfTime)?
        };
        self.connection.heeding(answer.unwrap_or_else(|_| Err(self.connection.ended())))
    }
}

impl Drop for Together {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(connection: Arc<Connection>, mut queue: mpsc::Receiver<Waiting>) {
    // Each holds callers that wait for it, so there are no more of them than callers.
    let mut sent = JoinSet::new();
    while let Some(first) = queue.recv().await {
        // Lets those run who have just been answered, and are about to call again.
        yield_now().await;
        let mut load = Load::default();
        load.add(first);
        while load.has_room()
            && let Ok(next) = queue.try_recv()
        {
            load.add(next);
        }
        while sent.try_join_next().is_some() {}
        let Load { joints, looks, .. } = load;
        if !joints.is_empty() {
            sent.spawn(send(Arc::clone(&connection), joints));
        }
        if !looks.is_empty() {
            sent.spawn(look(Arc::clone(&connection), looks));
        }
    }
}

/// What goes together.
#[derive(Default)]
struct Load {
    joints: Vec<(Joint, Caller)>,
    bytes: usize,
    looks: Vec<(Value, Caller)>,
}

impl Load {
    fn add(&mut self, Waiting { call, answer }: Waiting) {
        match call {
            Call::Joint(joint) => {
                self.bytes += joint.bytes();
                self.joints.push((joint, answer));
            }
            Call::Look(key) => self.looks.push((key, answer)),
        }
    }

    fn has_room(&self) -> bool {
        self.joints.len() < MOST_CALLS && self.bytes < MOST_BYTES && self.looks.len() < MOST_LOOKS
    }
}

async fn look(connection: Arc<Connection>, looks: Vec<(Value, Caller)>) {
    let (keys, callers): (_, Vec<_>) = looks.into_iter().unzip();
    tell(callers, connection.carry(Command::Plain("MGET", keys), false, None).await, connection.address());
}

async fn send(connection: Arc<Connection>, mut joints: Vec<(Joint, Caller)>) {
    if joints.len() == 1
        && let Some((joint, caller)) = joints.pop()
    {
        // A caller that has gone does not mind, here and below.
        let _ = caller.send(connection.carry(joint.alone(), false, None).await);
        return;
    }
    let (mut keys, mut arguments) = (Vec::with_capacity(joints.len()), Vec::with_capacity(joints.len() * 6));
    let join = |(joint, caller): (Joint, Caller)| {
        joint.join(&mut keys, &mut arguments);
        caller
    };
    let callers: Vec<_> = joints.into_iter().map(join).collect();
    tell(callers, run(&connection, keys, arguments).await, connection.address());
}

/// Gives each caller its own of the answers.
fn tell(callers: Vec<Caller>, answer: Result<Value, Fault>, server: &Address) {
    match answer {
        Ok(Value::Array(answers)) if answers.len() == callers.len() => {
            for (caller, answer) in callers.into_iter().zip(answers) {
                let _ = caller.send(answer_of(answer, server));
            }
        }
        answer => {
            let fault = answer.err().unwrap_or_else(|| senseless(server));
            for caller in callers {
                let _ = caller.send(Err(fault.clone()));
            }
        }
    }
}

/// Runs the script, which the server may have to be given first.
async fn run(connection: &Connection, keys: Vec<Value>, arguments: Vec<Value>) -> Result<Value, Fault> {
    let script: &Script = &TOGETHER;
    let command = Command::script(script, false, keys.clone(), arguments.clone());
    match connection.carry(command, false, None).await {
        Err(Fault::NoScript) => {
            connection.carry(Command::script(script, true, keys, arguments), false, None).await
        }
        answer => answer,
    }
}

/// What one of many is answered.
fn answer_of(answer: Value, server: &Address) -> Result<Value, Fault> {
    let Value::Array(parts) = &answer else { return Ok(answer) };
    match parts.get(1).and_then(bytes_of).map(|message| String::from_utf8_lossy(message)) {
        Some(message) => Err(of_reply(&message, server)),
        None => Err(senseless(server)),
    }
}

/// What was done cannot be known then.
fn senseless(server: &Address) -> Fault {
    Fault::Unknown(Cause::new(format!("the answer of {server} makes no sense")))
}
