//! The hook that is called when an operation is over.

use std::sync::{Arc, Mutex};

use idem_client::{Answered, Failure, IdempotentClient, OutgoingRequest};

use crate::script::{Act, Script, client};

type Told = Arc<Mutex<Vec<Answered>>>;

fn forgetting(client: IdempotentClient) -> (IdempotentClient, Told) {
    let told = Told::default();
    let log = Arc::clone(&told);
    let client = client.forget(move |answered: Answered| {
        log.lock().unwrap().push(answered);
        async { Ok::<_, std::io::Error>(()) }
    });
    (client, told)
}

#[tokio::test]
async fn the_key_is_forgotten_once_with_its_whole_answer() {
    let cut = "HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\nhalf";
    let server = Script::of([Act::Drop, Act::Answer("503 Unavailable\r\n"), Act::Raw(cut.into())]).await;
    let (client, told) = forgetting(client());
    let answer = client.execute(server.post("12 EUR")).await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "paid");
    let told = told.lock().unwrap();
    let [answered] = &told[..] else { panic!("{told:?}") };
    assert_eq!((answered.status.as_u16(), &answered.body[..]), (200, &b"paid"[..]));
    assert_eq!(server.keys(), vec![format!("\"{}\"", answered.key.as_str()); 4]);
}

#[tokio::test]
async fn a_request_that_was_given_up_is_not_forgotten() {
    let cut = Act::Raw("HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\nhalf".into());
    let long = Act::Raw("HTTP/1.1 201 Created\r\nContent-Length: 9000000\r\n\r\nhalf".into());
    let elsewhere = Act::Raw("HTTP/1.1 303 There\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n".into());
    for act in [Act::Drop, Act::Answer("503 Unavailable\r\n"), cut, long, elsewhere] {
        let server = Script::of(vec![act.clone(); 9]).await;
        let (client, told) = forgetting(client());
        client.execute(server.post("12 EUR")).await.unwrap_err();
        assert!(told.lock().unwrap().is_empty(), "{act:?}");
    }
}

/// How often the key is forgotten for `answer`: as the only answer, and after a lost attempt.
async fn forgets(answer: &'static str) -> (usize, usize) {
    let mut times = Vec::new();
    for acts in [vec![Act::Answer(answer)], vec![Act::Drop, Act::Answer(answer)]] {
        let server = Script::of(acts).await;
        let (client, told) = forgetting(client());
        client.execute(server.post("12 EUR")).await.unwrap();
        times.push(told.lock().unwrap().len());
    }
    (times[0], times[1])
}

#[tokio::test]
async fn a_refusal_after_a_lost_attempt_is_not_the_answer_of_the_operation() {
    for refusal in ["401 Who\r\n", "404 Where\r\n", "422 Reused\r\n", "500 Broken\r\n", "409 Not kept\r\n"] {
        assert_eq!(forgets(refusal).await, (1, 0), "{refusal}");
    }
    for answer in [
        "403 No\r\nIdempotency-Replayed: true\r\n",
        "500 Broken\r\nIdempotency-Replayed: true\r\n",
        "201 Made\r\n",
    ] {
        assert_eq!(forgets(answer).await, (1, 1), "{answer}");
    }
}

#[tokio::test]
async fn a_refusal_of_a_resumed_request_is_not_the_answer_of_the_operation() {
    let server = Script::of([Act::Answer("401 Who\r\n")]).await;
    let (keeps, kept) = std::sync::mpsc::channel::<OutgoingRequest>();
    let keeping = client().persist(move |outgoing| {
        keeps.send(outgoing).unwrap();
        async { Err(std::io::Error::other("killed")) }
    });
    keeping.execute(server.post("12 EUR")).await.unwrap_err();
    let (client, told) = forgetting(client());
    let outgoing = kept.recv().unwrap();
    assert_eq!(client.resume(&outgoing).await.unwrap().status(), 401);
    assert_eq!(told.lock().unwrap().len(), 0);
    assert_eq!(client.resume(&outgoing).await.unwrap().status(), 200);
    assert_eq!(told.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_hook_that_fails_leaves_the_answer_in_the_error() {
    let server = Script::of([]).await;
    let client = client().forget(|_| async { Err(std::io::Error::other("disk full")) });
    let error = client.execute(server.post("12 EUR")).await.unwrap_err();
    assert!(error.key().is_some());
    match error.into_failure() {
        Failure::NotForgotten { source, answer } => {
            assert_eq!(source.to_string(), "disk full");
            assert_eq!(answer.text().await.unwrap(), "paid");
        }
        other => panic!("{other:?}"),
    }
}
