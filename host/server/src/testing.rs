//! A server without plugins or network, for tests of what surrounds them.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use jackfield_egress::{Egress, EgressSettings};
use jackfield_plugins::{GuestLimits, PluginHost, Pooling};
use jackfield_store::{Keyring, Shared, Store};
use tempfile::TempDir;
use tokio::runtime::Handle;

use crate::api::digest_of_token;
use crate::{Admin, App, CallService, Drain, MediaPool, Metrics, Node, Parts, Rollout, ServerSettings, Switchboard};

pub(crate) const TOKEN: &str = "an admin token of some length";

/// With other settings than the defaults. The folder holds the database.
pub(crate) async fn app_with(change: impl FnOnce(&mut ServerSettings)) -> (App, TempDir) {
    let mut settings = ServerSettings::for_tests();
    change(&mut settings);
    let settings = Arc::new(settings);
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("test.db").display());
    let store = Store::open(&url, 4, Keyring::from_bytes("test", [7; 32])).await.unwrap();
    let guests = GuestLimits { instances: 4, upload: 64 << 10, ..GuestLimits::default() };
    let plugins = PluginHost::new(guests, Pooling::Off, None).unwrap();
    let (shared, metrics, drain) = (Shared::default(), Metrics::default(), Drain::default());
    let node = Node::new(Node::fresh_id(), shared.clone());
    let egress = Egress::new(EgressSettings::default()).unwrap();
    let rollout = Rollout::new(plugins.clone(), store.clone(), settings.rollout.clone());
    let calls = CallService::new(Switchboard {
        store: store.clone(),
        shared: shared.clone(),
        plugins: plugins.clone(),
        rollout: rollout.clone(),
        egress: egress.clone(),
        settings: Arc::clone(&settings),
        metrics: metrics.clone(),
        media: MediaPool::start(1, metrics.clone(), None, || ()).unwrap(),
        drain: drain.clone(),
        node: node.clone(),
        network: Handle::current(),
        guests: Handle::current(),
    });
    let admin = Admin::new(digest_of_token(TOKEN), &settings.limits);
    let guests = Handle::current();
    let parts = Parts { store, shared, plugins, rollout, egress, settings, metrics, drain, calls, admin, node, guests };
    (App::new(parts), folder)
}

/// On the defaults.
pub(crate) async fn app() -> (App, TempDir) {
    app_with(|_| {}).await
}
