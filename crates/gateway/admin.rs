//! The admin address: `/metrics`, `/livez`, `/readyz`, `/limits`.

mod limits;

use std::convert::Infallible;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::Semaphore;

use crate::live::{Gateway, Phase};
use crate::metrics;

/// Connections to the admin address at once: probes, scrapers and a person.
const CONNECTIONS_MAX: usize = 64;

/// Time for a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// What the registry's text is (`OpenMetrics`).
const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Serves the admin address until the process ends.
pub async fn serve(socket: TcpListener, gateway: Arc<Gateway>) {
    let socket = match tokio::net::TcpListener::from_std(socket) {
        Ok(socket) => socket,
        Err(error) => {
            tracing::error!(%error, "the admin address can't be served");
            return;
        }
    };
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
        let client = match socket.accept().await {
            Ok((client, _)) => client,
            Err(error) => {
                tracing::warn!(%error, "an admin connection can't be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let gateway = Arc::clone(&gateway);
        tokio::task::spawn_local(async move {
            let answer = service_fn(|request| {
                let response = respond(&request, &gateway);
                async { Ok::<_, Infallible>(response) }
            });
            let served = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT)
                .keep_alive(false)
                .serve_connection(TokioIo::new(client), answer)
                .await;
            if let Err(error) = served {
                tracing::debug!(%error, "an admin connection failed");
            }
            drop(permit);
        });
    }
}

fn respond(request: &Request<Incoming>, gateway: &Gateway) -> Response<Full<Bytes>> {
    if *request.method() != Method::GET && *request.method() != Method::HEAD {
        return plain(StatusCode::METHOD_NOT_ALLOWED, "only GET\n".to_owned());
    }
    match request.uri().path() {
        "/livez" => plain(StatusCode::OK, "ok\n".to_owned()),
        "/readyz" => match unready(gateway) {
            None => plain(StatusCode::OK, "ready\n".to_owned()),
            Some(why) => plain(StatusCode::SERVICE_UNAVAILABLE, why),
        },
        "/metrics" => {
            gateway.metrics.set_ready(unready(gateway).is_none());
            let live = gateway.live();
            let shards =
                live.clusters.iter().map(|(name, cluster)| (Arc::clone(name), cluster.shards.clone()));
            let (rules, now) = (Arc::clone(&live.rules), gateway.clock.at(Instant::now()));
            match metrics::exposition(&gateway.metrics, shards.collect(), rules, now) {
                Ok(text) => {
                    let mut response = plain(StatusCode::OK, text);
                    let kind = hyper::header::HeaderValue::from_static(METRICS_TYPE);
                    response.headers_mut().insert(CONTENT_TYPE, kind);
                    response
                }
                Err(_) => {
                    plain(StatusCode::INTERNAL_SERVER_ERROR, "the metrics can't be written\n".to_owned())
                }
            }
        }
        "/limits" => match limits::answer(gateway, request.uri().query().unwrap_or_default()) {
            Ok(text) => {
                let mut response = plain(StatusCode::OK, text);
                let kind = hyper::header::HeaderValue::from_static("application/json");
                response.headers_mut().insert(CONTENT_TYPE, kind);
                response
            }
            Err(why) => plain(StatusCode::BAD_REQUEST, why),
        },
        _ => plain(StatusCode::NOT_FOUND, "here are /metrics, /livez, /readyz and /limits\n".to_owned()),
    }
}

/// Why the gateway is not ready: it ends, or a cluster was never reached.
fn unready(gateway: &Gateway) -> Option<String> {
    if gateway.phase() != Phase::Serving {
        return Some("ending\n".to_owned());
    }
    let live = gateway.live();
    let waiting: Vec<&str> = live
        .clusters
        .values()
        .filter(|cluster| cluster.topology().is_none())
        .map(|cluster| &*cluster.name)
        .collect();
    (!waiting.is_empty()).then(|| format!("not reached yet: {}\n", waiting.join(", ")))
}

fn plain(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let kind = hyper::header::HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
