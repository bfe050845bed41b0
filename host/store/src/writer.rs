//! Writes about calls, committed in groups: whoever waits shares one commit with everyone who came meanwhile. Where many come, a
//! group waits for those that are on their way: a commit costs as much for one as for ten.

use std::fmt::Write as _;
use std::time::Duration;

use sqlx::any::AnyArguments;
use sqlx::error::BoxDynError;
use sqlx::{Acquire, AnyConnection, AnyPool, Arguments, Row};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::error::{StoreError, is_conflict};
use crate::model::{CallChange, NewCall, NewEvent};
use crate::names::{key_one, name_key};

/// Calls in one statement. Bounded so that the prepared statements are few.
const GROUP: usize = 64;
/// How often a group lets all others have their turn that can do something, where many come. Not a time: a timer's millisecond is
/// longer, and lets the threads fall asleep.
const ROUNDS: usize = 8;
/// Many: so many in a window of this length, 1,600 a second.
const WINDOW: Duration = Duration::from_millis(10);
const MANY: usize = 16;
/// Jobs that may wait. More means that the database does not keep up, and is said at once.
const QUEUE: usize = 4_096;

/// The way to the writing task. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Writer(mpsc::Sender<Job>);

/// What was to be written, and whether it is new.
type Written = (Box<NewCall>, bool);

type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

#[derive(Debug)]
enum Job {
    /// Answered with the call, and whether it is new.
    Create { call: Box<NewCall>, done: Reply<Written> },
    /// Answered with whether there is such a call.
    Change { id: String, change: Box<CallChange>, events: Vec<NewEvent>, at: i64, done: Reply<bool> },
}

impl Writer {
    /// Writes on the one connection of this pool.
    pub(crate) fn start(pool: AnyPool, places: Places) -> Self {
        let (jobs, inbox) = mpsc::channel(QUEUE);
        tokio::spawn(write_all(inbox, Desk { pool, places }));
        Self(jobs)
    }

    pub(crate) async fn create(&self, call: Box<NewCall>) -> Result<Written, StoreError> {
        self.ask(|done| Job::Create { call, done }).await
    }

    pub(crate) async fn change(
        &self,
        id: String,
        change: CallChange,
        events: Vec<NewEvent>,
        at: i64,
    ) -> Result<bool, StoreError> {
        self.ask(|done| Job::Change { id, change: Box::new(change), events, at, done }).await
    }

    async fn ask<T>(&self, job: impl FnOnce(Reply<T>) -> Job) -> Result<T, StoreError> {
        let (done, written) = oneshot::channel();
        let behind = |_| StoreError::Unavailable("it does not keep up with the calls".to_owned());
        self.0.try_send(job(done)).map_err(behind)?;
        written.await.map_err(|_| StoreError::Unavailable("the writing task ended".to_owned()))?
    }
}

/// How a statement says where its values go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Places {
    /// `$1`, `$2`, as PostgreSQL takes them. SQLite takes them as names, and looks each of them up.
    Numbered,
    /// `?`, as SQLite takes them.
    InOrder,
}

/// What the writing task has at hand.
struct Desk {
    pool: AnyPool,
    places: Places,
}

async fn write_all(mut inbox: mpsc::Receiver<Job>, desk: Desk) {
    let (mut jobs, mut rush) = (Vec::with_capacity(GROUP), Rush::begin(Instant::now()));
    while inbox.recv_many(&mut jobs, GROUP).await > 0 {
        // Whoever is about to ask joins this commit.
        for _ in 0..if rush.is_on(Instant::now()) { ROUNDS } else { 1 } {
            if jobs.len() >= GROUP {
                break;
            }
            tokio::task::yield_now().await;
            while jobs.len() < GROUP
                && let Ok(job) = inbox.try_recv()
            {
                jobs.push(job);
            }
        }
        rush.count(jobs.len());
        write_group(&desk, std::mem::take(&mut jobs)).await;
    }
}

/// Whether many jobs come, by how many came in the last whole window.
struct Rush {
    window: Instant,
    counted: usize,
    is_on: bool,
}

impl Rush {
    fn begin(now: Instant) -> Self {
        Self { window: now, counted: 0, is_on: false }
    }

    fn is_on(&mut self, now: Instant) -> bool {
        let passed = now.duration_since(self.window);
        if passed >= WINDOW {
            // A window in which nobody looked was a quiet one.
            self.is_on = passed < 2 * WINDOW && self.counted >= MANY;
            (self.window, self.counted) = (now, 0);
        }
        self.is_on
    }

    fn count(&mut self, jobs: usize) {
        self.counted += jobs;
    }
}

/// New calls need one statement for all; it is its own transaction where nothing else is in the group.
async fn write_group(desk: &Desk, jobs: Vec<Job>) {
    let (mut creates, mut changes) = (Vec::new(), Vec::new());
    for job in jobs {
        match job {
            Job::Create { call, done } => creates.push((call, done)),
            Job::Change { id, change, events, at, done } => changes.push((id, change, events, at, done)),
        }
    }
    if !creates.is_empty() {
        let outcome = create_surely(desk, &creates).await.map_err(|error| error.to_string());
        for (call, done) in creates {
            let written = match &outcome {
                Ok(New::All) => Ok((call, true)),
                Ok(New::Some(ids)) => Ok(ids.contains(&call.id)).map(|is_new| (call, is_new)),
                Err(error) => Err(StoreError::Unavailable(error.clone())),
            };
            // Whoever asked may have given up; the row is there all the same.
            done.send(written).ok();
        }
    }
    if !changes.is_empty() {
        change_all(&desk.pool, changes).await;
    }
}

type Creating = (Box<NewCall>, Reply<Written>);

/// Which calls were new.
enum New {
    All,
    /// Those with these ids.
    Some(Vec<String>),
}

/// A connection that the database closed meanwhile is found out by the first statement on it. The same rows again do no
/// harm: their ids are fixed.
async fn create_surely(desk: &Desk, calls: &[Creating]) -> Result<New, sqlx::Error> {
    match create(desk, calls).await {
        Err(error) if is_lost(&error) => create(desk, calls).await,
        outcome => outcome,
    }
}

/// Was the connection lost, so that another one may do better?
fn is_lost(error: &sqlx::Error) -> bool {
    let closing = |code: &str| code.starts_with("08") || code.starts_with("57P");
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| closing(&code)),
        _ => false,
    }
}

const CREATE: &str = "INSERT INTO calls (id, organization_id, owner, direction, status, provider, generation, \
                      configuration_id, agent_id, from_address, to_address, provider_call_id, memo, created_at, \
                      order_key, name_key) VALUES ";
const COLUMNS: usize = 16;

async fn create(desk: &Desk, calls: &[Creating]) -> Result<New, sqlx::Error> {
    let mut connection = desk.pool.acquire().await?;
    let sql = sqlx::AssertSqlSafe(insert(calls.len(), desk.places));
    let values = values(calls).map_err(sqlx::Error::Encode)?;
    let created = sqlx::query_with(sql, values).execute(&mut *connection).await?.rows_affected();
    if usize::try_from(created) == Ok(calls.len()) {
        return Ok(New::All);
    }
    created_of(&mut connection, calls).await.map(New::Some)
}

/// What the rows are made of.
fn values(calls: &[Creating]) -> Result<AnyArguments, BoxDynError> {
    let mut values = AnyArguments::default();
    values.reserve(calls.len() * COLUMNS, 0);
    for (call, _) in calls {
        values.add(&call.id)?;
        values.add(&call.organization_id)?;
        values.add(&call.owner)?;
        values.add(&call.direction)?;
        values.add(&call.status)?;
        values.add(&call.provider)?;
        values.add(&call.generation)?;
        values.add(&call.configuration_id)?;
        values.add(&call.agent_id)?;
        values.add(&call.from)?;
        values.add(&call.to)?;
        values.add(&call.provider_call_id)?;
        values.add(hex::encode(&call.memo))?;
        values.add(call.created_at)?;
        values.add(&call.order_key)?;
        values.add(call.provider_call_id.as_deref().map(|name| name_key(&call.configuration_id, name)))?;
    }
    Ok(values)
}

/// The statement that writes so many calls.
fn insert(rows: usize, places: Places) -> String {
    let places = match places {
        Places::Numbered => numbered(rows, COLUMNS),
        Places::InOrder => vec![format!("({})", ["?"; COLUMNS].join(", ")); rows].join(", "),
    };
    format!("{CREATE}{places} ON CONFLICT DO NOTHING")
}

/// `($1, $2), ($3, $4)`: numbered, as both databases take them.
fn numbered(rows: usize, columns: usize) -> String {
    let mut text = String::with_capacity(rows * columns * 5);
    for row in 0..rows {
        text.push_str(if row == 0 { "(" } else { "), (" });
        for column in 1..=columns {
            let comma = if column == 1 { "" } else { ", " };
            // Writing to a string cannot fail.
            let _ = write!(text, "{comma}${}", row * columns + column);
        }
    }
    text.push(')');
    text
}

/// Asked only where a webhook came twice: naming the rows in the statement itself costs every call.
async fn created_of(connection: &mut AnyConnection, calls: &[Creating]) -> Result<Vec<String>, sqlx::Error> {
    let sql = format!("SELECT id FROM calls WHERE id IN {}", numbered(1, calls.len()));
    let mut query = sqlx::query(sqlx::AssertSqlSafe(sql));
    for (call, _) in calls {
        query = query.bind(&call.id);
    }
    let rows = query.fetch_all(connection).await?;
    rows.iter().map(|row| row.try_get(0)).collect()
}

type Changing = (String, Box<CallChange>, Vec<NewEvent>, i64, Reply<bool>);

async fn change_all(pool: &AnyPool, changes: Vec<Changing>) {
    let mut outcome = try_changes(pool, &changes).await;
    // Nothing was asked to be committed: another connection may do better.
    if matches!(&outcome, Err((error, Phase::Before)) if is_lost(error)) {
        outcome = try_changes(pool, &changes).await;
    }
    match outcome {
        Ok(settled) => {
            for (outcome, (.., done)) in settled.into_iter().zip(changes) {
                done.send(outcome).ok();
            }
        }
        Err((error, _)) => {
            for (.., done) in changes {
                done.send(Err(StoreError::Unavailable(error.to_string()))).ok();
            }
        }
    }
}

/// Where a transaction failed.
enum Phase {
    Before,
    /// It may have been carried out.
    Commit,
}

async fn try_changes(
    pool: &AnyPool,
    changes: &[Changing],
) -> Result<Vec<Result<bool, StoreError>>, (sqlx::Error, Phase)> {
    let before = |error| (error, Phase::Before);
    let mut connection = pool.acquire().await.map_err(before)?;
    let mut transaction = connection.begin().await.map_err(before)?;
    let mut settled = Vec::with_capacity(changes.len());
    for (id, change, events, at, _) in changes {
        let outcome = if change.provider_call_id.is_some() {
            change_that_may_conflict(&mut transaction, id, change, events, *at).await
        } else {
            change_one(&mut transaction, id, change, events, *at).await.map(Ok)
        };
        settled.push(outcome.map_err(before)?);
    }
    transaction.commit().await.map_err(|error| (error, Phase::Commit))?;
    Ok(settled)
}

/// Within a transaction of its own: in PostgreSQL a conflict would spoil the others' part of the group.
async fn change_that_may_conflict(
    connection: &mut AnyConnection,
    id: &str,
    change: &CallChange,
    events: &[NewEvent],
    at: i64,
) -> Result<Result<bool, StoreError>, sqlx::Error> {
    let mut nested = connection.begin().await?;
    match change_one(&mut nested, id, change, events, at).await {
        Ok(known) => nested.commit().await.map(|()| Ok(known)),
        Err(error) if is_conflict(&error) => {
            let sentence = "another call has the provider's id".to_owned();
            nested.rollback().await.map(|()| Err(StoreError::Conflict(sentence)))
        }
        Err(error) => Err(error),
    }
}

async fn change_one(
    connection: &mut AnyConnection,
    id: &str,
    change: &CallChange,
    events: &[NewEvent],
    at: i64,
) -> Result<bool, sqlx::Error> {
    let sql = "UPDATE calls SET status = COALESCE($2, status), provider_call_id = COALESCE($3, provider_call_id), \
               answered_at = COALESCE($4, answered_at), ended_at = COALESCE($5, ended_at), \
               duration_s = COALESCE($6, duration_s), cost_amount = COALESCE($7, cost_amount), \
               cost_currency = COALESCE($8, cost_currency), end_reason = COALESCE($9, end_reason), \
               recording = COALESCE($10, recording), bill_at = COALESCE($12, bill_at) \
               WHERE id = $1 AND ($11 IS NULL OR epoch = $11)";
    let query = sqlx::query(sql)
        .bind(id)
        .bind(&change.status)
        .bind(&change.provider_call_id)
        .bind(change.answered_at)
        .bind(change.ended_at)
        .bind(change.duration_s)
        .bind(&change.cost_amount)
        .bind(&change.cost_currency)
        .bind(&change.end_reason)
        .bind(&change.recording)
        .bind(change.epoch)
        .bind(change.bill_at);
    if query.execute(&mut *connection).await?.rows_affected() == 0 {
        return Ok(false);
    }
    if let Some(name) = &change.provider_call_id {
        key_one(connection, id, name).await?;
    }
    for event in events {
        let sql = "INSERT INTO call_events (call_id, seq, at, kind, data) \
                   SELECT $1, COALESCE(MAX(seq), 0) + 1, $2, $3, $4 FROM call_events WHERE call_id = $1";
        let query = sqlx::query(sql).bind(id).bind(at).bind(&event.kind).bind(event.data.to_string());
        query.execute(&mut *connection).await?;
    }
    if let Some(ended_at) = change.ended_at {
        count_seconds(connection, id, ended_at).await?;
    }
    Ok(true)
}

/// Adds a call that ended to its organization's month.
async fn count_seconds(connection: &mut AnyConnection, id: &str, ended_at: i64) -> Result<(), sqlx::Error> {
    let sql = "INSERT INTO call_seconds (organization_id, month, seconds) \
               SELECT organization_id, $2, COALESCE(duration_s, \
               CASE WHEN ended_at > answered_at THEN (ended_at - answered_at) / 1000 ELSE 0 END) FROM calls \
               WHERE id = $1 AND answered_at IS NOT NULL \
               ON CONFLICT (organization_id, month) DO UPDATE SET seconds = call_seconds.seconds + excluded.seconds";
    sqlx::query(sql).bind(id).bind(month(ended_at)).execute(connection).await?;
    Ok(())
}

/// `2026-11`, in UTC. `at` in Unix milliseconds.
pub(crate) fn month(at: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(at).unwrap_or_default();
    time.to_zoned(jiff::tz::TimeZone::UTC).strftime("%Y-%m").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_are_those_of_utc() {
        assert_eq!(month(0), "1970-01");
        assert_eq!(month(1_796_083_199_999), "2026-11");
        assert_eq!(month(1_796_083_200_000), "2026-12");
    }

    #[test]
    fn it_is_a_rush_while_many_come_and_not_when_one_does() {
        let (begin, step) = (Instant::now(), Duration::from_millis(2));
        let after = |jobs: usize| {
            let mut rush = Rush::begin(begin);
            (1..=12).map(|steps| (rush.is_on(begin + step * steps), rush.count(jobs))).filter(|(on, ())| *on).count()
        };
        assert_eq!([after(1), after(3)], [0, 0], "500 and 1,500 a second");
        assert_eq!(after(4), 8, "2,000 a second, but for the first 10 ms");
        let mut rush = Rush::begin(begin);
        rush.count(MANY);
        assert!(!rush.is_on(begin + WINDOW * 2), "long ago");
    }

    #[test]
    fn placeholders_are_numbered_through() {
        assert_eq!(numbered(2, 2), "($1, $2), ($3, $4)");
        assert_eq!(numbered(1, 3), "($1, $2, $3)");
    }

    #[test]
    fn a_statement_has_a_place_for_each_value_of_each_call() {
        for rows in [1, GROUP] {
            let (numbered, in_order) = (insert(rows, Places::Numbered), insert(rows, Places::InOrder));
            assert!(numbered.contains(&format!("${})", rows * COLUMNS)), "{numbered}");
            assert_eq!(in_order.matches('?').count(), rows * COLUMNS);
            assert_eq!(in_order.matches("(?").count(), rows);
        }
    }
}
