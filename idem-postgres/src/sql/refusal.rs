//! What the server, or the library, says instead of an answer.

use crate::error::{Failure, recovery};

/// What came instead of an answer. Without `state` the server said nothing, and the statement may have been carried out.
#[derive(Debug)]
pub struct Refusal {
    /// The server's SQLSTATE; none where the server did not answer.
    pub(crate) state: Option<String>,
    pub(crate) message: String,
    pub(crate) detail: Option<String>,
    /// The function of the server that refused. Unlike messages its name is never translated.
    pub(crate) routine: Option<String>,
}

impl Refusal {
    pub(crate) fn without_answer(message: String) -> Self {
        Self { state: None, message, detail: None, routine: None }
    }

    /// Whether a statement was not carried out because what was prepared is not there any more, is somebody else's, or has
    /// other columns since a function was replaced.
    pub(crate) fn is_outdated(&self) -> bool {
        match self.state.as_deref() {
            Some("26000" | "42P05") => true,
            Some("0A000") => self.routine.as_deref() == Some("RevalidateCachedQuery"),
            _ => false,
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        match refusal.state {
            Some(state) => {
                Self { recovery: recovery(&state), message: format!("{} ({state})", refusal.message) }
            }
            None => Self::reconnect(refusal.message),
        }
    }
}
