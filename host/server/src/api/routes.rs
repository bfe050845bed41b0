//! The one table of all routes: method, path, and who may use it. A test holds it against `openapi.json`.

use axum::Router;
use axum::handler::Handler;
use axum::middleware::from_fn;
use axum::routing::{MethodFilter, MethodRouter, on};

use super::auth::Scope;
use super::{
    Kind, Problem, agents, auth, calls, configurations, numbers, organizations, plugins, probes, providers, sign_ins,
    tokens, transfers,
};
use crate::media::socket;
use crate::{App, webhooks};

/// The API in OpenAPI's words.
pub(crate) const OPENAPI: &str = include_str!("openapi.json");

/// Who may use a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Whoever brings a token for it.
    Scope(Scope),
    /// Whoever brings the host's own admin token.
    Host,
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
            access @ (Access::Scope(_) | Access::Host) => {
                let app = app.clone();
                route
                    .handler
                    .route_layer(from_fn(move |request, next| auth::require(app.clone(), access, request, next)))
            }
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

fn scoped<H: Handler<T, App>, T: 'static>(scope: Scope, method: &'static str, path: &'static str, handler: H) -> Route {
    route(Access::Scope(scope), method, path, handler)
}

fn read<H: Handler<T, App>, T: 'static>(path: &'static str, handler: H) -> Route {
    scoped(Scope::Read, "GET", path, handler)
}

fn configure<H: Handler<T, App>, T: 'static>(method: &'static str, path: &'static str, handler: H) -> Route {
    scoped(Scope::Configure, method, path, handler)
}

fn host<H: Handler<T, App>, T: 'static>(method: &'static str, path: &'static str, handler: H) -> Route {
    route(Access::Host, method, path, handler)
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
        read("/api/v1/telephony/providers", providers::list),
        // Where the seeds' form builder looks for the same.
        read("/api/v1/organizations/telephony-providers/metadata", providers::list),
        configure("POST", "/api/v1/telephony/configurations", configurations::create),
        read("/api/v1/telephony/configurations", configurations::list),
        read("/api/v1/telephony/configurations/{id}", configurations::read),
        configure("PUT", "/api/v1/telephony/configurations/{id}", configurations::replace),
        configure("DELETE", "/api/v1/telephony/configurations/{id}", configurations::delete),
        configure("POST", "/api/v1/telephony/configurations/{id}/probe", configurations::probe),
        read("/api/v1/telephony/configurations/{id}/available-numbers", configurations::available_numbers),
        configure("POST", "/api/v1/telephony/numbers", numbers::create),
        read("/api/v1/telephony/numbers", numbers::list),
        read("/api/v1/telephony/numbers/{id}", numbers::read),
        configure("PUT", "/api/v1/telephony/numbers/{id}", numbers::replace),
        configure("DELETE", "/api/v1/telephony/numbers/{id}", numbers::delete),
        configure("POST", "/api/v1/telephony/numbers/{id}/bind", numbers::bind),
        configure("POST", "/api/v1/telephony/numbers/{id}/unbind", numbers::unbind),
        configure("POST", "/api/v1/agents", agents::create),
        read("/api/v1/agents", agents::list),
        read("/api/v1/agents/{id}", agents::read),
        configure("PUT", "/api/v1/agents/{id}", agents::replace),
        configure("DELETE", "/api/v1/agents/{id}", agents::delete),
        host("POST", "/api/v1/organizations", organizations::create),
        host("GET", "/api/v1/organizations", organizations::list),
        host("GET", "/api/v1/organizations/{id}", organizations::read),
        host("PUT", "/api/v1/organizations/{id}", organizations::replace),
        scoped(Scope::Admin, "POST", "/api/v1/tokens", tokens::create),
        scoped(Scope::Admin, "GET", "/api/v1/tokens", tokens::list),
        scoped(Scope::Admin, "DELETE", "/api/v1/tokens/{id}", tokens::revoke),
        scoped(Scope::Calls, "POST", "/api/v1/calls", calls::place),
        read("/api/v1/calls", calls::list),
        read("/api/v1/calls/{id}", calls::read),
        scoped(Scope::Calls, "POST", "/api/v1/calls/{id}/hangup", calls::hang_up),
        scoped(Scope::Calls, "POST", "/api/v1/calls/{id}/transfer", transfers::begin),
        read("/api/v1/calls/{id}/transfer", transfers::read),
        scoped(Scope::Calls, "DELETE", "/api/v1/calls/{id}/transfer", transfers::cancel),
        read("/api/v1/plugins", plugins::list),
        read("/api/v1/plugins/{name}", plugins::read),
        scoped(Scope::Plugins, "PUT", "/api/v1/plugins/{name}", plugins::upload),
        scoped(Scope::Plugins, "POST", "/api/v1/plugins/{name}/rollback", plugins::rollback),
        scoped(Scope::Plugins, "POST", "/api/v1/plugins/{name}/abort", plugins::abort),
        scoped(Scope::Plugins, "POST", "/api/v1/plugins/{name}/release", plugins::release),
        scoped(Scope::Plugins, "POST", "/api/v1/plugins/{name}/drain", plugins::drain),
        read("/api/v1/plugins/{name}/rollouts", plugins::rollouts),
        // What all organizations' providers send goes through a plugin.
        host("PUT", "/api/v1/plugins/{name}/grants", plugins::grant),
        host("DELETE", "/api/v1/plugins/{name}/grants", plugins::grant_by_settings),
        host("POST", "/api/v1/plugins/{name}/trace", plugins::record),
        host("GET", "/api/v1/plugins/{name}/trace", plugins::trace),
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
