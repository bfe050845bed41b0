//! The one table of all routes: method, path, who may use it, and on which listener. A test holds it against `openapi.json`.

use std::collections::BTreeSet;

use axum::Router;
use axum::handler::Handler;
use axum::middleware::from_fn;
use axum::routing::{MethodFilter, MethodRouter, any, on};

use super::auth::Scope;
use super::{
    Kind, Problem, agents, auth, calls, configurations, numbers, organizations, plugins, probes, providers, sign_ins,
    tokens, transfers,
};
use crate::media::socket;
use crate::{App, webhooks};

/// The API in OpenAPI's words.
pub(crate) const OPENAPI: &str = include_str!("openapi.json");

/// Whom a listener is for, and a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// Providers, and people who sign in.
    World,
    /// Those who run this host, and their machines.
    Operators,
    /// Both.
    All,
}

/// Who may use a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Whoever brings a token for it.
    Scope(Scope),
    /// Whoever brings the host's own admin token.
    Host,
    /// Providers: each request proves itself.
    Provider,
    /// Everybody who reaches a listener for these.
    Open(Audience),
}

/// One method of one path.
pub(crate) struct Route {
    #[cfg_attr(not(test), expect(dead_code, reason = "the tests hold the table against the document by it"))]
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) access: Access,
    handler: MethodRouter<App>,
}

impl Audience {
    /// Do two of them have somebody in common?
    fn meets(self, other: Self) -> bool {
        self == other || self == Self::All || other == Self::All
    }

    fn nothing_here(self) -> Problem {
        Problem::not_found(match self {
            Self::World => "nothing is at this path",
            Self::Operators | Self::All => "nothing is at this path; GET /api/v1/openapi.json lists what there is",
        })
    }
}

impl Access {
    fn audience(self) -> Audience {
        match self {
            Self::Scope(_) | Self::Host => Audience::Operators,
            Self::Provider => Audience::World,
            Self::Open(audience) => audience,
        }
    }
}

impl Route {
    /// What answers it, behind the access it needs.
    fn guarded(self, app: &App) -> MethodRouter<App> {
        match self.access {
            access @ (Access::Scope(_) | Access::Host) => {
                let app = app.clone();
                self.handler
                    .route_layer(from_fn(move |request, next| auth::require(app.clone(), access, request, next)))
            }
            Access::Provider | Access::Open(_) => self.handler,
        }
    }
}

/// The router over all routes for these.
pub(crate) fn router(app: &App, audience: Audience) -> Router {
    let (here, elsewhere): (Vec<Route>, Vec<Route>) =
        table().into_iter().partition(|route| audience.meets(route.access.audience()));
    let taken: BTreeSet<&str> = here.iter().map(|route| route.path).collect();
    let others: BTreeSet<&str> = elsewhere.iter().map(|route| route.path).collect();
    let nothing = move || async move { audience.nothing_here() };
    let mut router = Router::new();
    for route in here {
        router = router.route(route.path, route.guarded(app));
    }
    // Left out, some of them would be taken for a callback: its path has a pattern in every place.
    for path in others.difference(&taken) {
        router = router.route(path, any(nothing));
    }
    router.fallback(nothing).method_not_allowed_fallback(another_method).with_state(app.clone())
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

fn open<H: Handler<T, App>, T: 'static>(audience: Audience, path: &'static str, handler: H) -> Route {
    route(Access::Open(audience), "GET", path, handler)
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
        open(Audience::World, "/api/v1/oauth/redirect", sign_ins::come_back),
        open(Audience::Operators, "/api/v1/openapi.json", probes::openapi),
        open(Audience::All, "/healthz", probes::health),
        open(Audience::All, "/readyz", probes::ready),
        open(Audience::Operators, "/metrics", probes::metrics),
    ]
}
