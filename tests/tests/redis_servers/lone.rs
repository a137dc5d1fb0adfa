use std::path::PathBuf;

use idem_conformance::redis::{Reply, Server};

#[tokio::test]
async fn a_server_answers() {
    let server = Server::lone().await;
    assert_eq!(server.command(&["PING"]).await.unwrap(), Reply::Status("PONG".to_owned()));
}

#[tokio::test]
async fn a_server_ends_when_it_is_dropped() {
    let server = Server::lone().await;
    let (folder, process) = (server.folder().to_owned(), process_folder(&server));
    assert!(folder.exists() && process.exists());
    drop(server);
    assert!(!folder.exists() && !process.exists());
}

fn process_folder(server: &Server) -> PathBuf {
    PathBuf::from(format!("/proc/{}", server.pid().unwrap()))
}
