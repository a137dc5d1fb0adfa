//! What the server does with a commit before it is answered: whether it is on its disk, and which standbys have it.

mod settings;
mod standby_names;

pub(crate) use settings::Settings;
