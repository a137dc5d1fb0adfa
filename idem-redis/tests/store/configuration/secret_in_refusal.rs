//! A server whose error repeats what it was sent.

use idem_servers::redis::Server;

use crate::support::{config, refusal};

/// Redis repeats the arguments of a command that it does not know.
#[tokio::test]
async fn no_error_shows_a_password_that_the_server_repeats() {
    let server = Server::options()
        .config("rename-command HELLO \"\"")
        .config("user default on nopass ~* &* +@all")
        .start()
        .await;
    let mut config = config(&server);
    config.username = Some("idem".to_owned());
    config.password = Some("hunter2".to_owned());
    let (_, message) = refusal(config).await;
    assert!(!message.contains("hunter2"), "{message}");
}
