//! Writes about calls, committed in groups: whoever waits shares one commit with everyone who came meanwhile.

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection, QueryBuilder, Row, Sqlite};
use tokio::sync::{mpsc, oneshot};

use crate::error::StoreError;
use crate::model::{CallChange, NewCall, NewEvent};

/// Calls in one statement. Bounded so that the prepared statements are few.
const GROUP: usize = 32;
/// Jobs that may wait. More means that the database does not keep up, and is said at once.
const QUEUE: usize = 4_096;

/// The way to the writing task. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Writer(mpsc::Sender<Job>);

type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

#[derive(Debug)]
enum Job {
    /// Answered with whether the call is new.
    Create { id: String, call: NewCall, done: Reply<bool> },
    /// Answered with whether there is such a call.
    Change { id: String, change: CallChange, events: Vec<NewEvent>, at: i64, done: Reply<bool> },
}

impl Writer {
    pub(crate) async fn start(options: SqliteConnectOptions) -> Result<Self, StoreError> {
        let connection = SqliteConnection::connect_with(&options).await?;
        let (jobs, inbox) = mpsc::channel(QUEUE);
        tokio::spawn(write_all(inbox, connection));
        Ok(Self(jobs))
    }

    pub(crate) async fn create(&self, id: String, call: NewCall) -> Result<bool, StoreError> {
        self.ask(|done| Job::Create { id, call, done }).await
    }

    pub(crate) async fn change(
        &self,
        id: String,
        change: CallChange,
        events: Vec<NewEvent>,
        at: i64,
    ) -> Result<bool, StoreError> {
        self.ask(|done| Job::Change { id, change, events, at, done }).await
    }

    async fn ask(&self, job: impl FnOnce(Reply<bool>) -> Job) -> Result<bool, StoreError> {
        let (done, written) = oneshot::channel();
        let behind = |_| StoreError::Unavailable("it does not keep up with the calls".to_owned());
        self.0.try_send(job(done)).map_err(behind)?;
        written.await.map_err(|_| StoreError::Unavailable("the writing task ended".to_owned()))?
    }
}

async fn write_all(mut inbox: mpsc::Receiver<Job>, mut connection: SqliteConnection) {
    let mut jobs = Vec::with_capacity(GROUP);
    while inbox.recv_many(&mut jobs, GROUP).await > 0 {
        // Whoever is about to ask joins this commit; alone, nothing waits.
        tokio::task::yield_now().await;
        while jobs.len() < GROUP
            && let Ok(job) = inbox.try_recv()
        {
            jobs.push(job);
        }
        write_group(&mut connection, std::mem::take(&mut jobs)).await;
    }
}

/// New calls need one statement for all; it is its own transaction where nothing else is in the group.
async fn write_group(connection: &mut SqliteConnection, jobs: Vec<Job>) {
    let (mut creates, mut changes) = (Vec::new(), Vec::new());
    for job in jobs {
        match job {
            Job::Create { id, call, done } => creates.push((id, call, done)),
            Job::Change { id, change, events, at, done } => changes.push((id, change, events, at, done)),
        }
    }
    if !creates.is_empty() {
        let outcome = create(connection, &creates).await.map_err(|error| error.to_string());
        for (id, _, done) in creates {
            let new = outcome.as_ref().map(|made| made.contains(&id));
            // Whoever asked may have given up; the row is there all the same.
            done.send(new.map_err(|error| StoreError::Unavailable(error.clone()))).ok();
        }
    }
    if !changes.is_empty() {
        change_all(connection, changes).await;
    }
}

/// The ids of those that were new.
async fn create(
    connection: &mut SqliteConnection,
    calls: &[(String, NewCall, Reply<bool>)],
) -> Result<Vec<String>, sqlx::Error> {
    let mut query = QueryBuilder::<Sqlite>::new(
        "INSERT INTO calls (id, direction, status, provider, generation, configuration_id, agent_id, from_address, \
         to_address, provider_call_id, memo, created_at) ",
    );
    query.push_values(calls, |mut row, (id, call, _)| {
        row.push_bind(id)
            .push_bind(&call.direction)
            .push_bind(&call.status)
            .push_bind(&call.provider)
            .push_bind(&call.generation)
            .push_bind(&call.configuration_id)
            .push_bind(&call.agent_id)
            .push_bind(&call.from)
            .push_bind(&call.to)
            .push_bind(&call.provider_call_id)
            .push_bind(hex::encode(&call.memo))
            .push_bind(call.created_at);
    });
    query.push(" ON CONFLICT (configuration_id, provider_call_id) DO NOTHING");
    let created = query.build().execute(&mut *connection).await?.rows_affected();
    if usize::try_from(created) == Ok(calls.len()) {
        return Ok(calls.iter().map(|(id, ..)| id.clone()).collect());
    }
    created_of(connection, calls).await
}

/// Asked only where a webhook came twice: naming the rows in the statement itself costs every call.
async fn created_of(
    connection: &mut SqliteConnection,
    calls: &[(String, NewCall, Reply<bool>)],
) -> Result<Vec<String>, sqlx::Error> {
    let mut query = QueryBuilder::<Sqlite>::new("SELECT id FROM calls WHERE id IN (");
    let mut ids = query.separated(", ");
    for (id, ..) in calls {
        ids.push_bind(id);
    }
    query.push(")");
    let rows = query.build().fetch_all(connection).await?;
    rows.iter().map(|row| row.try_get(0)).collect()
}

type Changing = (String, CallChange, Vec<NewEvent>, i64, Reply<bool>);

async fn change_all(connection: &mut SqliteConnection, changes: Vec<Changing>) {
    let mut settled = Vec::with_capacity(changes.len());
    let committed = async {
        let mut transaction = connection.begin().await?;
        for (id, change, events, at, done) in changes {
            let outcome = change_one(&mut transaction, &id, &change, &events, at).await;
            settled.push((outcome, done));
        }
        transaction.commit().await
    };
    let committed = committed.await.map_err(|error| error.to_string());
    for (outcome, done) in settled {
        let outcome = match &committed {
            Ok(()) => outcome,
            Err(error) => Err(StoreError::Unavailable(error.clone())),
        };
        done.send(outcome).ok();
    }
}

async fn change_one(
    connection: &mut SqliteConnection,
    id: &str,
    change: &CallChange,
    events: &[NewEvent],
    at: i64,
) -> Result<bool, StoreError> {
    let sql = "UPDATE calls SET status = COALESCE($2, status), provider_call_id = COALESCE($3, provider_call_id), \
               answered_at = COALESCE($4, answered_at), ended_at = COALESCE($5, ended_at), \
               duration_s = COALESCE($6, duration_s), cost_amount = COALESCE($7, cost_amount), \
               cost_currency = COALESCE($8, cost_currency), end_reason = COALESCE($9, end_reason), \
               recording = COALESCE($10, recording) WHERE id = $1";
    let changed = sqlx::query(sql)
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
        .execute(&mut *connection)
        .await
        .map_err(|error| StoreError::conflict(error, "another call has the provider's id"))?;
    if changed.rows_affected() == 0 {
        return Ok(false);
    }
    for event in events {
        let sql = "INSERT INTO call_events (call_id, seq, at, kind, data) \
                   SELECT $1, COALESCE(MAX(seq), 0) + 1, $2, $3, $4 FROM call_events WHERE call_id = $1";
        let query = sqlx::query(sql).bind(id).bind(at).bind(&event.kind).bind(event.data.to_string());
        query.execute(&mut *connection).await?;
    }
    Ok(true)
}
