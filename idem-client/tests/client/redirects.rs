//! Redirects of requests that carry a key.

use idem_client::{Error, Failure, IdempotencyMiddleware, IdempotentClient, redirect_policy};
use reqwest_middleware::ClientBuilder;

use crate::script::{Act, Script, client, plain, quick};

fn to(status: u16, url: &str) -> Act {
    Act::Raw(format!(
        "HTTP/1.1 {status} There\r\nLocation: {url}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    ))
}

fn assert_refused(error: &Error) {
    assert!(matches!(error.failure(), Failure::Redirected(_)), "{error:?}");
    assert!(error.key().is_some());
    assert_eq!(error.attempts(), 1);
}

#[tokio::test]
async fn a_redirect_to_another_origin_is_an_error_and_the_key_is_not_sent_there() {
    for status in [301, 302, 303, 307, 308] {
        let elsewhere = Script::of([]).await;
        let server = Script::of([to(status, elsewhere.url())]).await;
        assert_refused(&client().execute(server.post("12 EUR")).await.unwrap_err());
        assert_eq!((server.seen().len(), elsewhere.seen().len()), (1, 0), "{status}");
    }
}

#[tokio::test]
async fn a_redirect_that_would_change_the_method_is_an_error() {
    for status in [301, 302, 303] {
        // To the same page, as after a form.
        for place in ["/payments", "/receipts/1"] {
            let server = Script::of([to(status, place)]).await;
            assert_refused(&client().execute(server.post("12 EUR")).await.unwrap_err());
            assert_eq!(server.seen().len(), 1, "{status} {place}");
        }
    }
}

#[tokio::test]
async fn a_redirect_with_the_same_method_at_the_same_origin_is_followed_with_the_key() {
    for status in [307, 308] {
        let server = Script::of([to(status, "/v2/payments")]).await;
        let answer = client().execute(server.post("12 EUR")).await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.url().path()), (200, "/v2/payments"));
        let seen = server.seen();
        assert!(seen[1].starts_with("POST /v2/payments") && seen[1].ends_with("12 EUR"), "{seen:?}");
        let keys = server.keys();
        assert!(keys[0] == keys[1] && keys[0].len() == 38, "{keys:?}");
    }
}

#[tokio::test]
async fn endless_redirects_are_an_error() {
    let server = Script::of(vec![to(308, "/payments"); 50]).await;
    assert_refused(&client().execute(server.post("12 EUR")).await.unwrap_err());
}

#[tokio::test]
async fn any_redirect_is_followed_when_the_application_allows_it() {
    let elsewhere = Script::of([]).await;
    let server =
        Script::of([to(303, "/receipts/1"), Act::Answer("200 OK\r\n"), to(307, elsewhere.url())]).await;
    let client = client().any_redirect();
    client.execute(server.post("12 EUR")).await.unwrap();
    assert!(server.seen()[1].starts_with("GET /receipts/1"));
    client.execute(server.post("12 EUR")).await.unwrap();
    assert_eq!(elsewhere.keys(), server.keys()[2..]);
}

#[tokio::test]
async fn a_request_without_a_key_is_followed_anywhere() {
    let elsewhere = Script::of([]).await;
    let server = Script::of([to(302, elsewhere.url()), to(302, elsewhere.url())]).await;
    let get = || reqwest::Client::new().get(server.url()).build().unwrap();
    assert_eq!(client().execute(get()).await.unwrap().status(), 200);
    let inner = plain().redirect(redirect_policy()).build().unwrap();
    let with_middleware = ClientBuilder::new(inner).with(IdempotencyMiddleware::new()).build();
    assert_eq!(with_middleware.execute(get()).await.unwrap().status(), 200);
    assert_eq!(elsewhere.seen().len(), 2);
}

#[tokio::test]
async fn a_get_that_carries_a_key_is_followed_where_it_stays_a_get() {
    let server = Script::of([to(302, "/v2/payments")]).await;
    let mut request = reqwest::Client::new().get(server.url()).build().unwrap();
    idem_client::with_key(&mut request, &idem_client::ClientKey::random()).unwrap();
    assert_eq!(client().execute(request).await.unwrap().status(), 200);
}

#[tokio::test]
async fn another_origin_is_an_error_even_with_another_redirect_policy() {
    let elsewhere = Script::of([]).await;
    let server = Script::of([to(307, elsewhere.url()), to(307, elsewhere.url())]).await;
    let client = IdempotentClient::with_client(plain().build().unwrap()).policy(quick());
    assert_refused(&client.execute(server.post("12 EUR")).await.unwrap_err());
    let client = ClientBuilder::new(plain().build().unwrap()).with(IdempotencyMiddleware::new()).build();
    let error = client.post(server.url()).send().await.unwrap_err();
    assert_refused(Error::of(&error).unwrap());
}

#[tokio::test]
async fn the_middleware_refuses_what_its_clients_policy_refuses() {
    let server = Script::of([to(303, "/payments")]).await;
    let inner = plain().redirect(redirect_policy()).build().unwrap();
    let client = ClientBuilder::new(inner).with(IdempotencyMiddleware::new().policy(quick())).build();
    let error = client.post(server.url()).body("12 EUR").send().await.unwrap_err();
    assert_refused(Error::of(&error).unwrap());
    assert_eq!(server.seen().len(), 1);
}
