//! Claims about the schema: it goes up and down with what is in it.

use jackfield_store::{DEFAULT_ORGANIZATION, Inserted};
use sqlx::Executor;
use tempfile::TempDir;

use super::{Place, call, configuration, number};

pub(super) async fn tables_go_down_and_up_again(place: Place) {
    let store = place.open().await;
    let main = configuration("main");
    store.create_configuration(&main).await.unwrap();
    store.create_number(&number(&main, None)).await.unwrap();
    store.create_call(call(Some("CA1"), 5)).await.unwrap();
    drop(store);
    let pool = sqlx::AnyPool::connect(&place.url).await.unwrap();
    let migrations = sqlx::migrate!("../../migrations");
    // To the first schema, and from there to this one, with what is in it.
    migrations.undo(&pool, 1).await.unwrap();
    migrations.run(&pool).await.unwrap();
    let store = place.open().await;
    assert_eq!(store.get_configuration(DEFAULT_ORGANIZATION, &main.id).await.unwrap(), main);
    assert_eq!(store.list_numbers(DEFAULT_ORGANIZATION, 10, None).await.unwrap().items.len(), 1);
    assert!(store.call_by_provider_id("cfg_1", "CA1").await.unwrap().is_some());
    // The older schema knew of no keys: the host has made them.
    assert!(matches!(store.create_call(call(Some("CA1"), 6)).await.unwrap(), Inserted::Existing(_)));
    drop(store);
    migrations.undo(&pool, 0).await.unwrap();
    migrations.run(&pool).await.unwrap();
}

/// As a newer host makes them while this one runs, and finds them at the next start.
pub(super) async fn a_schema_that_a_newer_host_made_is_served_as_before(place: Place) {
    let running = place.open().await;
    let main = configuration("main");
    running.create_configuration(&main).await.unwrap();
    running.create_call(call(Some("CA1"), 5)).await.unwrap();
    assert_eq!(running.get_configuration(DEFAULT_ORGANIZATION, &main.id).await.unwrap(), main);
    let newer = migrations_and(
        "ALTER TABLE calls ADD COLUMN later TEXT;
         ALTER TABLE configurations ADD COLUMN later BIGINT NOT NULL DEFAULT 0;
         CREATE TABLE later (id TEXT PRIMARY KEY);",
    );
    let migrations = sqlx::migrate::Migrator::new(newer.path()).await.unwrap();
    let pool = sqlx::AnyPool::connect(&place.url).await.unwrap();
    migrations.run(&pool).await.unwrap();
    let started = place.open().await;
    for (store, provider_id) in [(&running, "CA2"), (&started, "CA3")] {
        let name = configuration(provider_id);
        store.create_configuration(&name).await.unwrap();
        assert_eq!(store.get_configuration(DEFAULT_ORGANIZATION, &main.id).await.unwrap(), main);
        store.create_call(call(Some(provider_id), 6)).await.unwrap();
        for known in ["CA1", provider_id] {
            assert!(store.call_by_provider_id("cfg_1", known).await.unwrap().is_some(), "{known}");
        }
    }
    assert_eq!(running.list_configurations(DEFAULT_ORGANIZATION, 10, None).await.unwrap().items.len(), 3);
    // And back, as when the newer host was no good.
    migrations.undo(&pool, 9).await.unwrap();
    let again = place.open().await;
    assert!(again.call_by_provider_id("cfg_1", "CA3").await.unwrap().is_some());
}

/// A table that is made anew waits for whoever reads it, and takes as long as it is large.
#[tokio::test(flavor = "multi_thread")]
async fn tables_may_take_longer_to_make_than_a_statement_of_postgresql_may() {
    let place = Place::postgres().await;
    drop(place.open().await);
    let pool = sqlx::AnyPool::connect(&place.url).await.unwrap();
    sqlx::migrate!("../../migrations").undo(&pool, 7).await.unwrap();
    let mut reader = pool.begin().await.unwrap();
    reader.execute("SELECT * FROM calls").await.unwrap();
    let reading = tokio::spawn(async move {
        tokio::time::sleep(std::time::Duration::from_secs(5)).await;
        reader.rollback().await.unwrap();
    });
    let store = place.open().await;
    store.create_call(call(Some("CA1"), 5)).await.unwrap();
    reading.await.unwrap();
}

/// The migrations there are, and one after them.
fn migrations_and(later: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    for file in std::fs::read_dir("../../migrations").unwrap().map(Result::unwrap) {
        std::fs::copy(file.path(), folder.path().join(file.file_name())).unwrap();
    }
    std::fs::write(folder.path().join("9000_later.up.sql"), later).unwrap();
    let undone = "ALTER TABLE calls DROP COLUMN later; ALTER TABLE configurations DROP COLUMN later; DROP TABLE later;";
    std::fs::write(folder.path().join("9000_later.down.sql"), undone).unwrap();
    folder
}
