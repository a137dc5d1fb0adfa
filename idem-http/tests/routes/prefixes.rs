//! Routes that differ only in a prefix, which is removed before the layer.

use std::convert::Infallible;

use axum::Router;
use axum::body::Body;
use axum::routing::post as route;
use http::{Request, Response, StatusCode};
use idem_http::{IdempotencyLayer, OriginalUriLayer, RequestBody, RequestUri, original_uri};
use tower::{Layer, Service, ServiceBuilder, service_fn};

use crate::support::{ask, builder, post};

/// A hand-written router: charges and refunds, each behind a layer that does not see the prefix.
fn stripping(
    layer: &IdempotencyLayer,
) -> impl Service<
    Request<Body>,
    Response = Response<idem_http::ResponseBody<Body>>,
    Error = Infallible,
    Future: Send,
> + Clone {
    let layer = layer.clone();
    service_fn(move |mut request: Request<Body>| {
        let (prefix, rest) = request.uri().path()[1..].split_once('/').unwrap();
        let (prefix, rest) = (prefix.to_owned(), format!("/{rest}"));
        *request.uri_mut() = rest.parse().unwrap();
        let inside = layer.layer(service_fn(move |_: Request<RequestBody<Body>>| {
            let answer = Response::new(Body::from(prefix.clone()));
            async move { Ok::<_, Infallible>(answer) }
        }));
        tower::ServiceExt::oneshot(inside, request)
    })
}

#[tokio::test]
async fn a_stripped_prefix_is_part_of_the_request() {
    let layer = builder().request_uri(RequestUri::Original).build().unwrap();
    let service = ServiceBuilder::new().layer(OriginalUriLayer::new()).service(stripping(&layer));
    assert_eq!(ask(&service, post("/refunds/create", "k")).await.text, "refunds");
    let other = ask(&service, post("/charges/create", "k")).await;
    assert_eq!((other.status, other.replayed), (StatusCode::UNPROCESSABLE_ENTITY, false));
    assert!(ask(&service, post("/refunds/create", "k")).await.replayed);
}

/// Nothing runs where the layer could give one route another's answer.
#[tokio::test]
async fn a_request_whose_uri_nobody_kept_is_refused() {
    let layer = builder().request_uri(RequestUri::Original).build().unwrap();
    let answer = ask(&stripping(&layer), post("/refunds/create", "k")).await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(answer.text.contains("route_unknown"), "{}", answer.text);
}

/// As with an axum of another version than the feature's: the layer does not know what such routers keep.
#[tokio::test]
async fn nested_routers_of_any_axum_are_told_apart() {
    let layer = builder().request_uri(RequestUri::Original).build().unwrap();
    let inside =
        |text| Router::new().route("/create", route(move || async move { text })).layer(layer.clone());
    let nested =
        |one, two| Router::new().nest("/v1", Router::new().nest(one, inside(one)).nest(two, inside(two)));
    let service = OriginalUriLayer::new().layer(nested("/refunds", "/charges"));
    assert_eq!(ask(&service, post("/v1/refunds/create", "k")).await.text, "/refunds");
    let other = ask(&service, post("/v1/charges/create", "k")).await;
    assert_eq!((other.status, other.replayed), (StatusCode::UNPROCESSABLE_ENTITY, false));
}

/// Without the feature `axum`.
#[test]
#[cfg(not(feature = "axum"))]
fn a_layer_is_not_built_without_a_choice_of_request_uri() {
    let error = builder().build().unwrap_err();
    assert_eq!(error.kind(), idem_core::ErrorKind::InvalidConfig);
    assert!(error.message().contains("request_uri"), "{error}");
    assert!(builder().request_uri(RequestUri::Unchanged).build().is_ok());
}

#[tokio::test]
async fn an_unchanged_uri_is_the_requests_own() {
    let layer = builder().request_uri(RequestUri::Unchanged).build().unwrap();
    let service = layer.layer(service_fn(async |request: Request<RequestBody<Body>>| {
        Ok::<_, Infallible>(Response::new(Body::from(request.uri().path().to_owned())))
    }));
    assert_eq!(ask(&service, post("/a", "k")).await.text, "/a");
    assert!(ask(&service, post("/a", "k")).await.replayed);
    assert_eq!(ask(&service, post("/b", "k")).await.status, StatusCode::UNPROCESSABLE_ENTITY);
}

/// The outermost layer sees the URI before any router does.
#[tokio::test]
async fn of_two_original_uri_layers_the_outer_one_counts() {
    let strip = |mut request: Request<Body>| {
        *request.uri_mut() = "/inner".parse().unwrap();
        request
    };
    let service = ServiceBuilder::new()
        .layer(OriginalUriLayer::new())
        .map_request(strip)
        .layer(OriginalUriLayer::new())
        .service_fn(async |request: Request<Body>| {
            let kept = original_uri(request.extensions()).unwrap().to_string();
            Ok::<_, Infallible>(Response::new(Body::from(kept)))
        });
    assert_eq!(ask(&service, post("/outer?a=1", "k")).await.text, "/outer?a=1");
}
