//! A fake of Twilio's REST API on loopback: calls and numbers, a record of every request, and faults on demand.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use serde_json::{Value, json};

use crate::carrier::{Account, fresh_call_sid};

/// One request as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub method: String,
    /// Below `/2010-04-01/Accounts/{sid}/`, with the query.
    pub path: String,
    pub form: Vec<(String, String)>,
    pub authorized: bool,
}

/// What goes wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is done; this status, and a `Retry-After` in seconds.
    Status(u16, Option<u32>),
    /// It is done, and the answer breaks off.
    AnswerLost,
    /// No answer ever comes; it is done all the same, or not.
    Stalled { done: bool },
}

/// A call that was placed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedCall {
    pub sid: String,
    pub to: String,
    pub from: String,
    /// The answer webhook.
    pub url: String,
    pub status_callback: String,
    /// The document that it brought along, or was redirected to.
    pub twiml: String,
    pub status: String,
    pub duration: Option<u32>,
    pub price: Option<String>,
    /// As Twilio writes it.
    pub created: String,
}

/// A number that the account owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedNumber {
    pub sid: String,
    pub number: String,
    pub voice_url: String,
}

/// The fake. Ends with the process.
#[derive(Debug, Clone)]
pub struct TwilioRest {
    pub address: SocketAddr,
    books: Arc<Mutex<Books>>,
}

#[derive(Debug)]
struct Books {
    account: Account,
    seen: Vec<Seen>,
    calls: Vec<PlacedCall>,
    numbers: Vec<OwnedNumber>,
    faults: VecDeque<(&'static str, Fault)>,
}

impl Seen {
    /// The first value of a form field.
    pub fn field(&self, name: &str) -> &str {
        self.form.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }
}

impl TwilioRest {
    /// Listens on loopback for this account.
    pub async fn start(account: Account) -> Result<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (seen, calls, numbers, faults) = (Vec::new(), Vec::new(), Vec::new(), VecDeque::new());
        let books = Arc::new(Mutex::new(Books { account, seen, calls, numbers, faults }));
        let app = Router::new().fallback(take).with_state(books.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Ok(Self { address, books })
    }

    /// The next request of this method meets this fault.
    pub fn fail_next(&self, method: &'static str, fault: Fault) {
        locked(&self.books).faults.push_back((method, fault));
    }

    pub fn own_number(&self, number: &str) {
        let sid = format!("PN{}", crate::carrier::random_hex(16));
        locked(&self.books).numbers.push(OwnedNumber { sid, number: number.to_owned(), voice_url: String::new() });
    }

    /// Tells what the provider will say about a call from now on.
    pub fn settle(&self, sid: &str, status: &str, duration: Option<u32>, price: Option<&str>) {
        if let Some(call) = locked(&self.books).calls.iter_mut().find(|call| call.sid == sid) {
            (call.status, call.duration, call.price) = (status.to_owned(), duration, price.map(str::to_owned));
        }
    }

    pub fn seen(&self) -> Vec<Seen> {
        locked(&self.books).seen.clone()
    }

    pub fn calls(&self) -> Vec<PlacedCall> {
        locked(&self.books).calls.clone()
    }

    pub fn numbers(&self) -> Vec<OwnedNumber> {
        locked(&self.books).numbers.clone()
    }

    /// Twilio knows of a call that came from outside.
    pub fn know(&self, sid: &str, from: &str, to: &str) {
        locked(&self.books).calls.insert(
            0,
            PlacedCall {
                sid: sid.to_owned(),
                to: to.to_owned(),
                from: from.to_owned(),
                url: String::new(),
                status_callback: String::new(),
                twiml: String::new(),
                status: "in-progress".to_owned(),
                duration: None,
                price: None,
                created: rfc2822(SystemTime::now()),
            },
        );
    }

    /// Waits for a call to be placed.
    pub async fn placed(&self) -> Result<PlacedCall> {
        for _ in 0..500 {
            if let Some(call) = self.calls().pop() {
                return Ok(call);
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        anyhow::bail!("no call was placed within 5 s; the host asked for {:?}", self.seen())
    }
}

fn locked(books: &Mutex<Books>) -> MutexGuard<'_, Books> {
    books.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn take(
    State(books): State<Arc<Mutex<Books>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let answer = answer(&mut locked(&books), &method, &uri, &headers, &body);
    match answer {
        Some(answer) => answer,
        // Until whoever asked is gone.
        None => std::future::pending().await,
    }
}

/// None where no answer comes.
fn answer(books: &mut Books, method: &Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Option<Response> {
    let root = format!("/2010-04-01/Accounts/{}", books.account.sid);
    let target = uri.path_and_query().map_or("", |target| target.as_str());
    let Some(path) = target.strip_prefix(&root).map(|path| path.trim_start_matches('/').to_owned()) else {
        return Some(refusal(404, 20404, "no such account"));
    };
    let form: Vec<(String, String)> = form_urlencoded::parse(body).into_owned().collect();
    let authorized = books.authorized(headers);
    let seen = Seen { method: method.to_string(), path, form, authorized };
    books.seen.push(seen.clone());
    if !authorized {
        return Some(refusal(401, 20003, "Authenticate"));
    }
    match books.fault(&seen.method) {
        None => Some(books.act(&seen)),
        Some(Fault::Status(status, retry_after)) => Some(failing(status, retry_after)),
        Some(Fault::Stalled { done: false }) => None,
        Some(Fault::Stalled { done: true }) => {
            books.act(&seen);
            None
        }
        Some(Fault::AnswerLost) => {
            books.act(&seen);
            Some(broken_off())
        }
    }
}

impl Books {
    fn authorized(&self, headers: &HeaderMap) -> bool {
        let Account { sid, token } = &self.account;
        let expected = base64::engine::general_purpose::STANDARD.encode(format!("{sid}:{token}"));
        headers.get("authorization").is_some_and(|value| value.as_bytes() == format!("Basic {expected}").as_bytes())
    }

    fn fault(&mut self, method: &str) -> Option<Fault> {
        let index = self.faults.iter().position(|(wanted, _)| *wanted == method)?;
        self.faults.remove(index).map(|(_, fault)| fault)
    }

    fn act(&mut self, seen: &Seen) -> Response {
        let (path, query) = seen.path.split_once('?').unwrap_or((&seen.path, ""));
        let resource = path.trim_end_matches(".json");
        match (seen.method.as_str(), resource.split_once('/')) {
            ("GET", None) if resource.is_empty() => json_answer(200, &json!({ "status": "active", "type": "Full" })),
            ("POST", None) if resource == "Calls" => self.place(seen),
            ("GET", None) if resource == "Calls" => self.list_calls(query),
            ("GET", Some(("Calls", sid))) => self.inspect(sid),
            ("POST", Some(("Calls", sid))) => self.change(sid, seen),
            ("GET", None) if resource == "IncomingPhoneNumbers" => self.list_numbers(query),
            ("POST", Some(("IncomingPhoneNumbers", sid))) => self.bind(sid, seen),
            _ => refusal(404, 20404, "no such resource"),
        }
    }

    fn place(&mut self, seen: &Seen) -> Response {
        if !seen.field("To").starts_with('+') {
            return refusal(400, 21211, "Invalid 'To' Phone Number");
        }
        let call = PlacedCall {
            sid: fresh_call_sid(),
            to: seen.field("To").to_owned(),
            from: seen.field("From").to_owned(),
            url: seen.field("Url").to_owned(),
            status_callback: seen.field("StatusCallback").to_owned(),
            twiml: seen.field("Twiml").to_owned(),
            status: "queued".to_owned(),
            duration: None,
            price: None,
            created: rfc2822(SystemTime::now()),
        };
        let answer = json_answer(201, &self.document(&call));
        self.calls.push(call);
        answer
    }

    fn list_calls(&self, query: &str) -> Response {
        let wanted: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let fits = |call: &&PlacedCall| {
            wanted.iter().all(|(name, value)| match name.as_str() {
                "To" => call.to == *value,
                "From" => call.from == *value,
                _ => true,
            })
        };
        let calls: Vec<Value> = self.calls.iter().rev().filter(fits).map(|call| self.document(call)).collect();
        json_answer(200, &json!({ "calls": calls, "next_page_uri": null }))
    }

    fn inspect(&self, sid: &str) -> Response {
        match self.calls.iter().find(|call| call.sid == sid) {
            Some(call) => json_answer(200, &self.document(call)),
            None => refusal(404, 20404, "The requested resource was not found"),
        }
    }

    fn change(&mut self, sid: &str, seen: &Seen) -> Response {
        match self.calls.iter_mut().find(|call| call.sid == sid) {
            None => return refusal(404, 20404, "The requested resource was not found"),
            Some(call) if call.status == "completed" => return refusal(400, 21220, "Call is not in-progress"),
            Some(call) if !seen.field("Twiml").is_empty() => seen.field("Twiml").clone_into(&mut call.twiml),
            Some(call) => seen.field("Status").clone_into(&mut call.status),
        }
        self.inspect(sid)
    }

    fn list_numbers(&self, query: &str) -> Response {
        let wanted = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "PhoneNumber");
        // As at Twilio, the filter is a pattern: more may come back than was asked for.
        let fits = |number: &&OwnedNumber| wanted.as_ref().is_none_or(|(_, part)| number.number.contains(&**part));
        let numbers: Vec<Value> = self.numbers.iter().filter(fits).map(number_document).collect();
        json_answer(200, &json!({ "incoming_phone_numbers": numbers, "next_page_uri": null }))
    }

    fn bind(&mut self, sid: &str, seen: &Seen) -> Response {
        match self.numbers.iter_mut().find(|number| number.sid == sid) {
            None => refusal(404, 20404, "The requested resource was not found"),
            Some(number) => {
                seen.field("VoiceUrl").clone_into(&mut number.voice_url);
                json_answer(200, &number_document(number))
            }
        }
    }

    fn document(&self, call: &PlacedCall) -> Value {
        json!({
            "sid": call.sid,
            "account_sid": self.account.sid,
            "status": call.status,
            "direction": "outbound-api",
            "from": call.from,
            "to": call.to,
            "price": call.price,
            "price_unit": "USD",
            "duration": call.duration.map(|seconds| seconds.to_string()),
            "date_created": call.created,
            "start_time": null,
            "end_time": null,
            "answered_by": null,
            "uri": format!("/2010-04-01/Accounts/{}/Calls/{}.json", self.account.sid, call.sid),
        })
    }
}

fn number_document(number: &OwnedNumber) -> Value {
    json!({
        "sid": number.sid,
        "phone_number": number.number,
        "friendly_name": number.number,
        "voice_url": number.voice_url,
        "voice_method": "POST",
        "voice_application_sid": "",
        "trunk_sid": null,
    })
}

fn json_answer(status: u16, body: &Value) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [("content-type", "application/json")], body.to_string()).into_response()
}

fn refusal(status: u16, code: u32, message: &str) -> Response {
    let more = format!("https://www.twilio.com/docs/errors/{code}");
    json_answer(status, &json!({ "code": code, "message": message, "more_info": more, "status": status }))
}

fn failing(status: u16, retry_after: Option<u32>) -> Response {
    let code = if status == 429 { 20429 } else { 20500 };
    let mut response = refusal(status, code, "try again later");
    if let Some(seconds) = retry_after {
        response.headers_mut().insert("retry-after", seconds.into());
    }
    response
}

/// `Tue, 03 Mar 2026 10:15:00 +0000`.
fn rfc2822(time: SystemTime) -> String {
    const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let (mut day, clock) = (seconds / 86_400, seconds % 86_400);
    let weekday = WEEKDAYS.iter().cycle().nth(usize::try_from(day % 7).unwrap_or(0)).unwrap_or(&"Thu");
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let mut year = 1970;
    while day >= 365 + u64::from(leap(year)) {
        day -= 365 + u64::from(leap(year));
        year += 1;
    }
    let mut months = MONTHS.iter().zip([31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]);
    let month = months.find(|(_, days)| {
        if day >= *days {
            day -= days;
            false
        } else {
            true
        }
    });
    let (hour, minute, second) = (clock / 3_600, clock / 60 % 60, clock % 60);
    let month = month.map_or("Jan", |(name, _)| name);
    format!("{weekday}, {:02} {month} {year} {hour:02}:{minute:02}:{second:02} +0000", day + 1)
}

/// Headers go out, and the body never comes whole.
fn broken_off() -> Response {
    let cut = futures_util::stream::once(async { Err::<Bytes, _>(std::io::Error::other("the line was cut")) });
    Response::builder()
        .status(201)
        .header("content-type", "application/json")
        .header("content-length", "500")
        .body(Body::from_stream(cut))
        .context("a legal answer")
        .unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::http;

    async fn post(rest: &TwilioRest, password: &str, body: &str) -> Result<http::Answer> {
        let Account { sid, .. } = locked(&rest.books).account.clone();
        let url = format!("http://{}/2010-04-01/Accounts/{sid}/Calls.json", rest.address);
        let basic = base64::engine::general_purpose::STANDARD.encode(format!("{sid}:{password}"));
        let request = http::client()?.post(url).header("authorization", format!("Basic {basic}"));
        http::Answer::read(request.body(body.to_owned()).send().await?).await
    }

    #[test]
    fn times_are_written_as_twilio_writes_them() {
        let at = |seconds| rfc2822(UNIX_EPOCH + std::time::Duration::from_secs(seconds));
        assert_eq!(at(0), "Thu, 01 Jan 1970 00:00:00 +0000");
        assert_eq!(at(1_709_208_305), "Thu, 29 Feb 2024 12:05:05 +0000");
        assert_eq!(at(1_772_532_900), "Tue, 03 Mar 2026 10:15:00 +0000");
    }

    #[tokio::test]
    async fn a_call_is_placed_only_with_the_accounts_token() {
        let account = Account::fresh();
        let rest = TwilioRest::start(account.clone()).await.unwrap();
        assert_eq!(post(&rest, "wrong", "To=%2B1&From=%2B2").await.unwrap().status, 401);
        assert!(rest.calls().is_empty());
        let made = post(&rest, &account.token, "To=%2B1&From=%2B2").await.unwrap().expect(201).unwrap();
        assert_eq!(made["sid"], rest.calls()[0].sid);
    }

    #[tokio::test]
    async fn faults_come_once_and_a_lost_answer_still_did_its_work() {
        let account = Account::fresh();
        let rest = TwilioRest::start(account.clone()).await.unwrap();
        rest.fail_next("POST", Fault::Status(429, Some(3)));
        rest.fail_next("POST", Fault::AnswerLost);
        let busy = post(&rest, &account.token, "To=%2B1").await.unwrap();
        assert_eq!((busy.status, busy.header("retry-after"), rest.calls().len()), (429, "3", 0));
        assert!(post(&rest, &account.token, "To=%2B1").await.is_err());
        assert_eq!(rest.calls().len(), 1);
    }
}
