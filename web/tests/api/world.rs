//! The ports, answered from memory.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use nightjar_model::agents::{
    AgentFacts, AgentHealth, AgentRecord, AgentSelf, AgentTask, AgentTaskResult, AgentView, Enrolled, FileListing,
    MonitorReport, PickSuggestion, Selection, TrialLine, TrialReport,
};
use nightjar_model::alert::{
    Alert, AlertCommit, AlertEvent, AlertQuery, AlertStatus, EventQuery, Notification, NotificationQuery, Receiver,
    RuleState,
};
use nightjar_model::builtin::Intake;
use nightjar_model::delta::{Number, Partial};
use nightjar_model::identity::{
    Actor, ApiToken, AuditEntry, EnrolmentToken, NewApiToken, NewEnrolmentToken, Principal, Role, User, UserChange,
};
use nightjar_model::kinds::alert_rule::Level;
use nightjar_model::kinds::monitor::{MonitorSpec, Pick, SplitPick};
use nightjar_model::names::{AgentId, MonitorKey};
use nightjar_model::ports::{
    AgentRegistry, AlertStore, Applied, ChangeListener, Fleet, Identities, LineLab, ListQuery, Outcome, Page,
    ResourceStore, TaskStatus, Tasks, TestSender, WindowReader, WriteOptions,
};
use nightjar_model::query::{
    Completeness, CompletenessState, Contributor, Progress, SeriesWindows, SqlAnswer, SqlBody, SqlFormat, WindowAnswer,
    WindowQuery,
};
use nightjar_model::{Clock, Decimal, Error, ErrorKind, Resource, ResourceKey, Result, Secret, Timestamp};

/// 2026-03-01T12:00:30Z
pub(crate) const NOW: Timestamp = Timestamp(1_772_366_430_000);

#[derive(Default)]
pub(crate) struct World {
    pub(crate) documents: Mutex<BTreeMap<ResourceKey, Vec<Resource>>>,
    pub(crate) audit: Mutex<Vec<AuditEntry>>,
    pub(crate) logins: Mutex<u32>,
    pub(crate) sessions: Mutex<Vec<String>>,
    pub(crate) last_query: Mutex<Option<WindowQuery>>,
    pub(crate) disconnected: Mutex<Vec<AgentId>>,
}

impl Clock for World {
    fn now(&self) -> Timestamp {
        NOW
    }
}

fn principal(name: &str, platform_admin: bool, role: Option<Role>) -> Principal {
    Principal {
        actor: Actor { name: name.into(), address: None },
        platform_admin,
        roles: role.map(|role| ("default".to_owned(), role)).into_iter().collect(),
        credential: None,
    }
}

#[async_trait]
impl ResourceStore for World {
    async fn get(&self, key: &ResourceKey) -> Result<Resource> {
        let documents = self.documents.lock().expect("lock");
        let latest = documents.get(key).and_then(|versions| versions.last()).cloned();
        latest.ok_or_else(|| Error::not_found(format!("there is no {key}")))
    }

    async fn reveal(&self, key: &ResourceKey) -> Result<Resource> {
        self.get(key).await
    }

    async fn list(&self, query: &ListQuery) -> Result<Page<Resource>> {
        let documents = self.documents.lock().expect("lock");
        let mut items: Vec<Resource> = documents
            .iter()
            .filter(|(key, _)| query.kind.is_none_or(|kind| kind == key.kind))
            .filter(|(key, _)| query.workspace.as_ref().is_none_or(|workspace| *workspace == key.workspace))
            .filter_map(|(_, versions)| versions.last().cloned())
            .filter(|r| query.folder.as_ref().is_none_or(|folder| r.metadata.folder.starts_with(folder.as_str())))
            .filter(|r| query.labels.iter().all(|(key, value)| r.metadata.labels.get(key) == Some(value)))
            .collect();
        let more = query.limit > 0 && items.len() > query.limit as usize;
        items.truncate(if query.limit == 0 { usize::MAX } else { query.limit as usize });
        let next = items.last().filter(|_| more).map(|last| last.metadata.name.clone());
        Ok(Page { items, next })
    }

    async fn apply(&self, actor: &Actor, new: Vec<Resource>, options: WriteOptions) -> Result<Vec<Applied>> {
        let mut documents = self.documents.lock().expect("lock");
        let mut applied = Vec::new();
        for mut resource in new {
            let versions = documents.entry(resource.key()).or_default();
            let stored = versions.last();
            let version = stored.and_then(|stored| stored.metadata.version).unwrap_or(0);
            if options.if_match.is_some_and(|expected| expected != version) {
                return Err(Error::new(ErrorKind::Stale, format!("the version is {version} now")));
            }
            let outcome = match stored {
                None => Outcome::Created,
                Some(stored) if stored.spec == resource.spec => Outcome::Unchanged,
                Some(_) => Outcome::Updated,
            };
            resource.metadata.version = Some(version + i64::from(outcome != Outcome::Unchanged));
            resource.metadata.updated_by = Some(actor.name.clone());
            if !options.dry_run && outcome != Outcome::Unchanged {
                versions.push(resource.clone());
            }
            applied.push(Applied { resource, outcome });
        }
        documents.retain(|_, versions| !versions.is_empty());
        Ok(applied)
    }

    async fn delete(&self, _actor: &Actor, key: &ResourceKey, options: WriteOptions) -> Result<()> {
        let found = self.get(key).await?;
        if options.if_match.is_some_and(|expected| Some(expected) != found.metadata.version) {
            return Err(Error::new(ErrorKind::Stale, "the version is another now"));
        }
        if key.name == "referred-to" {
            return Err(Error::conflict("AlertRule `slow` refers to it; delete or change that first"));
        }
        if !options.dry_run {
            self.documents.lock().expect("lock").remove(key);
        }
        Ok(())
    }

    async fn versions(&self, key: &ResourceKey) -> Result<Vec<Resource>> {
        let documents = self.documents.lock().expect("lock");
        Ok(documents.get(key).into_iter().flatten().rev().cloned().collect())
    }

    async fn restore(&self, actor: &Actor, key: &ResourceKey, version: i64) -> Result<Resource> {
        let old = self.versions(key).await?.into_iter().find(|r| r.metadata.version == Some(version));
        let old = old.ok_or_else(|| Error::not_found(format!("{key} has no version {version}")))?;
        let mut applied = self.apply(actor, vec![old], WriteOptions::default()).await?;
        Ok(applied.remove(0).resource)
    }

    fn on_change(&self, _listener: ChangeListener) {}

    async fn workspaces(&self) -> Result<Vec<String>> {
        Ok(vec!["default".into(), "other".into()])
    }

    async fn create_workspace(&self, _actor: &Actor, _name: &str) -> Result<()> {
        Ok(())
    }

    async fn audit(&self, entry: AuditEntry) -> Result<()> {
        self.audit.lock().expect("lock").push(entry);
        Ok(())
    }

    async fn audit_log(&self, workspace: Option<&str>, _: u32, _: Option<&str>) -> Result<Page<AuditEntry>> {
        let entries = self.audit.lock().expect("lock");
        let wanted =
            |entry: &&AuditEntry| workspace.is_none_or(|workspace| entry.workspace.as_deref() == Some(workspace));
        Ok(Page { items: entries.iter().filter(wanted).cloned().collect(), next: None })
    }
}

#[async_trait]
impl Identities for World {
    async fn login(&self, name: &str, password: &Secret, _address: Option<&str>) -> Result<Principal> {
        *self.logins.lock().expect("lock") += 1;
        match (name, password.expose()) {
            ("ann", "correct horse") => Ok(principal("user:ann", false, Some(Role::Editor))),
            ("root", "correct horse") => Ok(principal("user:root", true, None)),
            ("throttled", _) => Err(Error::new(ErrorKind::TooManyRequests, "too many failed logins; wait 30 s")),
            _ => Err(Error::unauthenticated("the name or the password is wrong")),
        }
    }

    async fn start_session(&self, _principal: &Principal) -> Result<(Secret, Timestamp)> {
        self.sessions.lock().expect("lock").push("session-1".into());
        Ok((Secret::new("session-1"), NOW.saturating_add(Duration::from_secs(3600))))
    }

    async fn session(&self, session: &Secret) -> Result<Principal> {
        if self.sessions.lock().expect("lock").iter().any(|known| known == session.expose()) {
            return Ok(principal("user:ann", false, Some(Role::Editor)));
        }
        Err(Error::unauthenticated("the session is over; log in again"))
    }

    async fn end_session(&self, session: &Secret) -> Result<()> {
        self.sessions.lock().expect("lock").retain(|known| known != session.expose());
        Ok(())
    }

    async fn renew(&self, principal: &Principal) -> Result<Principal> {
        Ok(principal.clone())
    }

    async fn token(&self, token: &Secret) -> Result<Principal> {
        match token.expose() {
            "admin-token" => Ok(principal("token:admin", true, None)),
            "ws-admin-token" => Ok(principal("token:ws-admin", false, Some(Role::Admin))),
            "editor-token" => Ok(principal("token:editor", false, Some(Role::Editor))),
            "operator-token" => Ok(principal("token:operator", false, Some(Role::Operator))),
            "viewer-token" => Ok(principal("token:viewer", false, Some(Role::Viewer))),
            "stranger-token" => Ok(principal("token:stranger", false, None)),
            "panic-token" => panic!("a bug, with a secret in it"),
            _ => Err(Error::unauthenticated("the token is not valid")),
        }
    }

    async fn users(&self) -> Result<Vec<User>> {
        Ok(vec![User {
            name: "ann".into(),
            display_name: "Ann".into(),
            platform_admin: false,
            roles: BTreeMap::new(),
            disabled: false,
            created_at: NOW,
            last_login_at: None,
        }])
    }

    async fn put_user(&self, _actor: &Actor, name: &str, _change: UserChange) -> Result<User> {
        let mut users = self.users().await?;
        users[0].name = name.to_owned();
        Ok(users.remove(0))
    }

    async fn delete_user(&self, _actor: &Actor, _name: &str) -> Result<()> {
        Ok(())
    }

    async fn change_password(&self, _actor: &Actor, name: &str, old: &Secret, _new: &Secret) -> Result<()> {
        if name == "ann" && old.expose() == "correct horse" {
            return Ok(());
        }
        Err(Error::forbidden("the old password is wrong"))
    }

    async fn api_tokens(&self) -> Result<Vec<ApiToken>> {
        Ok(Vec::new())
    }

    async fn create_api_token(&self, actor: &Actor, new: NewApiToken) -> Result<(ApiToken, Secret)> {
        let about = ApiToken {
            id: "t1".into(),
            name: new.name,
            platform_admin: new.platform_admin,
            roles: new.roles,
            created_by: actor.name.clone(),
            owner: Some(actor.name.clone()),
            created_at: NOW,
            expires_at: new.expires_at,
            last_used_at: None,
        };
        Ok((about, Secret::new("njt_value")))
    }

    async fn delete_api_token(&self, _actor: &Actor, _id: &str) -> Result<()> {
        Ok(())
    }
}

#[async_trait]
impl AgentRegistry for World {
    async fn enrolment_tokens(&self, _workspace: &str) -> Result<Vec<EnrolmentToken>> {
        Ok(Vec::new())
    }

    async fn create_enrolment_token(
        &self,
        actor: &Actor,
        workspace: &str,
        new: NewEnrolmentToken,
    ) -> Result<(EnrolmentToken, Secret)> {
        let about = EnrolmentToken {
            id: "e1".into(),
            workspace: workspace.into(),
            note: new.note,
            uses_left: new.uses,
            created_by: actor.name.clone(),
            owner: Some(actor.name.clone()),
            created_at: NOW,
            expires_at: new.expires_at,
            used: 0,
        };
        Ok((about, Secret::new("enrol-me")))
    }

    async fn delete_enrolment_token(&self, _actor: &Actor, _workspace: &str, _id: &str) -> Result<()> {
        Ok(())
    }

    async fn check_enrolment_token(&self, token: &Secret) -> Result<()> {
        if token.expose() == "enrol-me" {
            return Ok(());
        }
        Err(Error::unauthenticated("the enrolment token is not valid"))
    }

    async fn enrol(&self, _: &Secret, _: &AgentFacts, _: Option<&str>) -> Result<Enrolled> {
        Err(Error::internal("agents do not enrol over HTTP"))
    }

    async fn authenticate(&self, _id: &AgentId, _key: &Secret) -> Result<AgentRecord> {
        Err(Error::internal("agents do not connect over HTTP"))
    }

    async fn left(&self, _id: &AgentId, _at: Timestamp) -> Result<()> {
        unreachable!("the API says nothing of this")
    }

    async fn seen(&self, _id: &AgentId, _facts: &AgentFacts, _at: Timestamp) -> Result<()> {
        Ok(())
    }

    async fn agents(&self, _workspace: Option<&str>) -> Result<Vec<AgentRecord>> {
        Ok(Vec::new())
    }

    async fn delete_agent(&self, _actor: &Actor, _workspace: &str, _id: &AgentId) -> Result<()> {
        Ok(())
    }
}

fn alert(id: &str, level: Level, status: AlertStatus, minutes_ago: u64) -> Alert {
    Alert {
        id: id.into(),
        workspace: "default".into(),
        rule: "slow".into(),
        rule_title: "slow".into(),
        monitor: "trade".into(),
        folder: String::new(),
        keys: BTreeMap::new(),
        level,
        status,
        started_at: NOW.saturating_sub(Duration::from_secs(minutes_ago * 60)),
        ended_at: None,
        summary: "cost_avg now = 132.5 > 100".into(),
        values: BTreeMap::new(),
    }
}

#[async_trait]
impl AlertStore for World {
    async fn rule_state(&self, _workspace: &str, _rule: &str) -> Result<RuleState> {
        Ok(RuleState::default())
    }

    async fn rules_with_state(&self) -> Result<Vec<(String, String)>> {
        Ok(Vec::new())
    }

    async fn forget_rule(&self, _workspace: &str, _rule: &str) -> Result<()> {
        Ok(())
    }

    async fn commit(&self, _commit: AlertCommit) -> Result<()> {
        Ok(())
    }

    async fn due_receivers(&self, _now: Timestamp) -> Result<Vec<(Receiver, u64)>> {
        Ok(Vec::new())
    }

    async fn due_notifications(&self, _receiver: &Receiver, _now: Timestamp, _limit: u32) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    async fn alert(&self, _workspace: &str, id: &str) -> Result<Alert> {
        Ok(alert(id, Level::P1, AlertStatus::Firing, 5))
    }

    async fn alerts(&self, query: &AlertQuery) -> Result<Page<Alert>> {
        let mut items = vec![
            alert("a3", Level::P1, AlertStatus::Firing, 5),
            alert("a2", Level::P1, AlertStatus::Recovered, 70),
            alert("a1", Level::P0, AlertStatus::Firing, 3000),
        ];
        items.retain(|a| query.status.is_none_or(|status| status == a.status));
        items.retain(|a| query.since.is_none_or(|since| a.started_at >= since));
        items.retain(|a| query.level.is_none_or(|level| a.level == level));
        items.truncate(query.limit as usize);
        Ok(Page { items, next: None })
    }

    async fn events(&self, query: &EventQuery) -> Result<Page<AlertEvent>> {
        let waited = |minutes_ago: u64| AlertEvent {
            at: NOW.saturating_sub(Duration::from_secs(minutes_ago * 60)),
            alert: query.alert.clone(),
            stage: "evaluate".into(),
            outcome: "delayed".into(),
            reason: "waiting for agent-1".into(),
            notification: None,
        };
        let all = match query.alert.as_str() {
            "rule:slow" => 3,
            "a2" => 600,
            _ => 0,
        };
        let first = query.cursor.as_ref().map_or(0, |cursor| cursor.parse().expect("a cursor of this listing"));
        let end = all.min(first + u64::from(query.limit));
        let next = (end < all).then(|| end.to_string());
        Ok(Page { items: (first..end).map(waited).collect(), next })
    }

    async fn notification(&self, _workspace: &str, id: &str) -> Result<Notification> {
        Err(Error::not_found(format!("there is no notification {id}")))
    }

    async fn notifications(&self, _query: &NotificationQuery) -> Result<Page<Notification>> {
        Ok(Page { items: Vec::new(), next: None })
    }

    async fn prune(&self, _before: Timestamp) -> Result<u64> {
        Ok(0)
    }
}

/// Of `trade` nothing was understood in the newest minute; `other` is well.
fn intake(query: &WindowQuery) -> WindowAnswer {
    let minute = NOW.floor(Duration::from_secs(60));
    let one = |name: &str, lines: u64, understood: u64| SeriesWindows {
        keys: query.by.iter().flatten().map(|_| name.to_owned()).collect(),
        windows: vec![(minute, Intake { lines, understood, counted: understood }.partials())],
    };
    let asked = |series: &(&str, SeriesWindows)| query.filter.values().all(|keys| keys.accepts(series.0));
    let series = [("trade", one("trade", 40, 0)), ("other", one("other", 40, 40))];
    WindowAnswer {
        by: query.by.clone().unwrap_or_default(),
        series: series.into_iter().filter(asked).map(|(_, series)| series).collect(),
        ..WindowAnswer::default()
    }
}

fn column(count: u64, sum: i64) -> Partial {
    let sum = Decimal::from_int(sum);
    let number = if count == 0 { Number::EMPTY } else { Number { count, sum, min: sum, max: sum } };
    number.into()
}

#[async_trait]
impl WindowReader for World {
    async fn windows(&self, query: WindowQuery) -> Result<WindowAnswer> {
        if query.monitor.name == "_intake" {
            return Ok(intake(&query));
        }
        *self.last_query.lock().expect("lock") = Some(query.clone());
        if query.monitor.name == "_faults" {
            let series = |reason: &str, count| SeriesWindows {
                keys: vec![reason.into()],
                windows: vec![(query.from, vec![Partial::lines(count)]), (NOW, vec![Partial::lines(1)])],
            };
            let series = vec![series("column_missing", 2), series("time_unreadable", 40)];
            return Ok(WindowAnswer {
                by: vec!["reason".into()],
                fields: vec!["*".into()],
                series,
                completeness: vec![],
                ..WindowAnswer::default()
            });
        }
        let minute = NOW.floor(Duration::from_secs(60));
        if query.monitor.name == "quiet" {
            let mark = |minutes_ago: u64, state| Completeness {
                time: minute.saturating_sub(Duration::from_secs(60 * minutes_ago)),
                state,
                reason: None,
                missing: Vec::new(),
                missing_count: 0,
            };
            return Ok(WindowAnswer {
                by: query.by.unwrap_or_else(|| vec!["goods".into()]),
                completeness: vec![mark(1, CompletenessState::Complete), mark(0, CompletenessState::Partial)],
                ..WindowAnswer::default()
            });
        }
        let series = |key: &str, count, sum| SeriesWindows {
            keys: vec![key.into()],
            windows: vec![(minute, vec![Partial::lines(count), column(count / 2, sum)])],
        };
        Ok(WindowAnswer {
            by: vec!["goods".into()],
            fields: vec!["*".into(), "cost".into()],
            series: vec![series("apple", 1, 0), series("pear", 10, 250), series("fig", 10, 40)],
            completeness: vec![Completeness {
                time: minute,
                state: CompletenessState::Partial,
                reason: None,
                missing: vec![AgentId("agent-1".into())],
                missing_count: 1,
            }],
            ..WindowAnswer::default()
        })
    }

    /// Behind; and nothing complete yet where the name says so.
    async fn progress(&self, monitor: &MonitorKey) -> Result<Progress> {
        let behind = Some(NOW.saturating_sub(Duration::from_secs(600))).filter(|_| !monitor.name.starts_with("never-"));
        Ok(Progress { complete_through: behind, settled_through: behind, furthest: behind, expected: 1, revision: 0 })
    }

    async fn contributors(&self, monitor: &MonitorKey) -> Result<Vec<Contributor>> {
        Ok(vec![Contributor {
            agent: AgentId("agent-1".into()),
            through: self.progress(monitor).await?.settled_through,
        }])
    }

    async fn sql(&self, workspace: &str, sql: &str, format: SqlFormat) -> Result<SqlAnswer> {
        let content_type = if format == SqlFormat::Csv { "text/csv" } else { "application/json" };
        Ok(SqlAnswer { content_type, body: sql_body(workspace, sql) })
    }
}

/// One that says so comes in pieces, and one of these breaks off.
fn sql_body(workspace: &str, sql: &str) -> SqlBody {
    let whole = format!("{workspace}: {sql}").into_bytes();
    if !sql.contains("pieces") {
        return SqlBody::whole(whole);
    }
    let (pieces, rest) = tokio::sync::mpsc::channel(4);
    let last = if sql.contains("broken") { Err(Error::unavailable("no more")) } else { Ok(Vec::new()) };
    for piece in [Ok(b" and ".to_vec()), Ok(b"more".to_vec()), last] {
        pieces.try_send(piece).expect("there is room");
    }
    SqlBody::streamed(whole, rest)
}

#[async_trait]
impl Fleet for World {
    async fn agents(&self, workspace: &str) -> Result<Vec<AgentView>> {
        Ok(vec![AgentView {
            id: AgentId("agent-1".into()),
            workspace: workspace.into(),
            facts: AgentFacts { hostname: "app-1".into(), ..AgentFacts::default() },
            health: AgentHealth::Lost,
            reasons: Vec::new(),
            enrolled_at: NOW,
            last_seen_at: None,
            left_at: None,
            clock_skew_ms: 0,
            config_applied: None,
            config_wanted: "1".into(),
            monitors: vec![MonitorReport {
                monitor: "trade".into(),
                files: 2,
                examples: BTreeMap::from([("time_unreadable".into(), "/var/log/x: hello".into())]),
                ..MonitorReport::default()
            }],
            process: AgentSelf::default(),
        }])
    }

    async fn agent(&self, workspace: &str, id: &AgentId) -> Result<AgentView> {
        let found = Fleet::agents(self, workspace).await?.into_iter().find(|view| view.id == *id);
        found.ok_or_else(|| Error::not_found(format!("there is no agent {id}")))
    }

    async fn run(&self, workspace: &str, id: &AgentId, task: AgentTask) -> Result<AgentTaskResult> {
        self.agent(workspace, id).await?;
        match task {
            AgentTask::ListFiles { root, .. } => {
                Ok(AgentTaskResult::Files(FileListing { root, ..FileListing::default() }))
            }
            AgentTask::TryMonitor { .. } => Ok(AgentTaskResult::Trial(TrialReport::default())),
            AgentTask::PreviewFile { .. } => Err(Error::unavailable("the agent is away")),
        }
    }

    async fn disconnect(&self, id: &AgentId) {
        self.disconnected.lock().expect("lock").push(id.clone());
    }
}

impl LineLab for World {
    fn derive(&self, lines: &[String], selection: &Selection) -> Result<Vec<PickSuggestion>> {
        let yields: Vec<Option<String>> = lines
            .iter()
            .map(|line| Some(line.chars().skip(selection.from).take(selection.to - selection.from).collect()))
            .collect();
        let pick = Pick::Split(SplitPick { by: ",".into(), index: 1 });
        Ok(vec![PickSuggestion { pick, distinct: yields.len(), yields }])
    }

    fn try_lines(&self, _spec: &MonitorSpec, lines: &[String]) -> Result<TrialReport> {
        let lines = lines.iter().map(|text| TrialLine { text: text.clone(), ..TrialLine::default() }).collect();
        Ok(TrialReport { lines, ..TrialReport::default() })
    }
}

#[async_trait]
impl TestSender for World {
    async fn test_send(&self, key: &ResourceKey, to: Option<&str>) -> Result<String> {
        Ok(format!("{key} {}", to.unwrap_or("-")))
    }
}

impl Tasks for World {
    fn statuses(&self) -> Vec<TaskStatus> {
        vec![TaskStatus {
            name: "engine.flush".into(),
            trigger: "every 1s".into(),
            runs: 3,
            failures: 0,
            last_started_at: Some(NOW),
            last_duration_ms: Some(2),
            last_error: Some("rule `other/secret-plan`: no data".into()),
        }]
    }
}
