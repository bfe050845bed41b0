//! The one table of all routes: method, path, and who may use it. A test holds it against `openapi.json`.

use axum::Router;
use axum::handler::Handler;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodFilter, MethodRouter, on};

use super::{Kind, Problem, agents, auth, calls, configurations, numbers, plugins, probes, providers, sign_ins};
use crate::media::socket;
use crate::{App, webhooks};

/// The API in OpenAPI's words.
pub(crate) const OPENAPI: &str = include_str!("openapi.json");

/// Who may use a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Whoever brings the admin token.
    Admin,
    /// Providers: each request proves itself.
    Provider,
    /// Everybody.
    Open,
}

/// One method of one path.
pub(crate) struct Route {
    #[cfg_attr(not(test), expect(dead_code, reason = "the tests hold the table against the document by it"))]
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) access: Access,
    handler: MethodRouter<App>,
}

/// The router over all routes, each behind the access it needs.
pub(crate) fn router(app: &App) -> Router {
    let mut router = Router::new();
    for route in table() {
        let handler = match route.access {
            Access::Admin => route.handler.route_layer(from_fn_with_state(app.clone(), auth::require)),
            Access::Provider | Access::Open => route.handler,
        };
        router = router.route(route.path, handler);
    }
    router.fallback(nothing_here).method_not_allowed_fallback(another_method).with_state(app.clone())
}

async fn nothing_here() -> Problem {
    Problem::not_found("nothing is at this path; GET /api/v1/openapi.json lists what there is")
}

async fn another_method() -> Problem {
    Problem::new(Kind::MethodNotAllowed, "the header `Allow` says which methods this path takes")
}

fn route<H, T>(access: Access, method: &'static str, path: &'static str, handler: H) -> Route
where
    H: Handler<T, App>,
    T: 'static,
{
    let filter = match method {
        "POST" => MethodFilter::POST,
        "PUT" => MethodFilter::PUT,
        "DELETE" => MethodFilter::DELETE,
        _ => MethodFilter::GET,
    };
    Route { method, path, access, handler: on(filter, handler) }
}

fn admin<H: Handler<T, App>, T: 'static>(method: &'static str, path: &'static str, handler: H) -> Route {
    route(Access::Admin, method, path, handler)
}

fn provider<H: Handler<T, App>, T: 'static>(method: &'static str, path: &'static str, handler: H) -> Route {
    route(Access::Provider, method, path, handler)
}

fn open<H: Handler<T, App>, T: 'static>(path: &'static str, handler: H) -> Route {
    route(Access::Open, "GET", path, handler)
}

/// All routes.
pub(crate) fn table() -> Vec<Route> {
    vec![
        admin("GET", "/api/v1/telephony/providers", providers::list),
        // Where the seeds' form builder looks for the same.
        admin("GET", "/api/v1/organizations/telephony-providers/metadata", providers::list),
        admin("POST", "/api/v1/telephony/configurations", configurations::create),
        admin("GET", "/api/v1/telephony/configurations", configurations::list),
        admin("GET", "/api/v1/telephony/configurations/{id}", configurations::read),
        admin("PUT", "/api/v1/telephony/configurations/{id}", configurations::replace),
        admin("DELETE", "/api/v1/telephony/configurations/{id}", configurations::delete),
        admin("POST", "/api/v1/telephony/configurations/{id}/probe", configurations::probe),
        admin("GET", "/api/v1/telephony/configurations/{id}/available-numbers", configurations::available_numbers),
        admin("POST", "/api/v1/telephony/numbers", numbers::create),
        admin("GET", "/api/v1/telephony/numbers", numbers::list),
        admin("GET", "/api/v1/telephony/numbers/{id}", numbers::read),
        admin("PUT", "/api/v1/telephony/numbers/{id}", numbers::replace),
        admin("DELETE", "/api/v1/telephony/numbers/{id}", numbers::delete),
        admin("POST", "/api/v1/telephony/numbers/{id}/bind", numbers::bind),
        admin("POST", "/api/v1/telephony/numbers/{id}/unbind", numbers::unbind),
        admin("POST", "/api/v1/agents", agents::create),
        admin("GET", "/api/v1/agents", agents::list),
        admin("GET", "/api/v1/agents/{id}", agents::read),
        admin("PUT", "/api/v1/agents/{id}", agents::replace),
        admin("DELETE", "/api/v1/agents/{id}", agents::delete),
        admin("POST", "/api/v1/calls", calls::place),
        admin("GET", "/api/v1/calls", calls::list),
        admin("GET", "/api/v1/calls/{id}", calls::read),
        admin("POST", "/api/v1/calls/{id}/hangup", calls::hang_up),
        admin("GET", "/api/v1/plugins", plugins::list),
        admin("GET", "/api/v1/plugins/{name}", plugins::read),
        admin("PUT", "/api/v1/plugins/{name}", plugins::upload),
        admin("POST", "/api/v1/plugins/{name}/rollback", plugins::rollback),
        // Some providers and some of their settings ask by GET.
        provider("POST", "/api/v1/telephony/inbound/run", webhooks::inbound_any),
        provider("GET", "/api/v1/telephony/inbound/run", webhooks::inbound_any),
        provider("POST", "/api/v1/telephony/inbound/{configuration}", webhooks::inbound_of),
        provider("GET", "/api/v1/telephony/inbound/{configuration}", webhooks::inbound_of),
        provider("POST", "/api/v1/telephony/{provider}/{hook}/{call}", webhooks::callback),
        provider("GET", "/api/v1/telephony/{provider}/{hook}/{call}", webhooks::callback),
        provider("GET", "/api/v1/telephony/ws", socket::open_by_query),
        provider("GET", "/api/v1/telephony/ws/{token}", socket::open),
        // Whoever comes here brings a `state` that was given to one person.
        open("/api/v1/oauth/redirect", sign_ins::come_back),
        open("/api/v1/openapi.json", probes::openapi),
        open("/healthz", probes::health),
        open("/readyz", probes::ready),
        open("/metrics", probes::metrics),
    ]
}
