//! A server that repeats what it was sent.

use idem_servers::redis::Server;

use crate::support::{config, refusal};

/// Redis names the arguments of a command that it does not know.
#[tokio::test]
async fn a_server_that_does_not_know_hello_gets_no_password_into_an_error() {
    let server = Server::options()
        .config("rename-command HELLO \"\"")
        .config("user default on nopass ~* &* +@all")
        .start()
        .await;
    let mut config = config(&server);
    config.username = Some("idem".to_owned());
    config.password = Some("hunter2".to_owned());
    let (_, said) = refusal(config).await;
    assert!(!said.contains("hunter2"), "{said}");
}
