//! Who asks, and whether they may: denied unless the route declares otherwise.

mod access;
mod basic;
mod csrf;

use std::sync::Arc;
use std::time::Duration;

use axum::RequestExt;
use axum::extract::{FromRequestParts, MatchedPath, RawPathParams, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use nightjar_listener::Connection;
use nightjar_model::identity::{Actor, Principal, Role};
use nightjar_model::{ErrorKind, Secret};

use crate::body::receive;
use crate::client::Client;
use crate::problem::{Answer, Failure};
use crate::serve::Shared;

pub(crate) use access::{ACCESS_EXTENSION, Access, AccessTable};
pub(crate) use basic::VerifiedPasswords;

pub(crate) const SESSION_COOKIE: &str = "nightjar_session";

/// Somebody whose identity was proved for this request.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) principal: Principal,
}

impl Caller {
    pub(crate) fn actor(&self) -> &Actor {
        &self.principal.actor
    }

    /// The name of the user; tokens have none.
    pub(crate) fn user(&self) -> Option<&str> {
        self.principal.actor.name.strip_prefix("user:")
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Answer<Self> {
        parts.extensions.get::<Caller>().cloned().ok_or_else(unauthenticated)
    }
}

/// What strangers may send: a name and a password.
const OPEN_BODY_BYTES: usize = 8 << 10;
const OPEN_BODY_WITHIN: Duration = Duration::from_secs(5);

/// Lets a request pass that its route's access allows, with the [`Caller`] it proved to be from, and once all of
/// it is there.
pub(crate) async fn guard(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let basic = matches!(request.uri().path(), "/docs" | "/metrics" | "/api/v1/openapi.json");
    match pass(&shared, request, next).await {
        Ok(response) => response,
        Err(failure) => {
            let mut response = failure.into_response();
            if response.status() == StatusCode::UNAUTHORIZED {
                metrics::counter!("nightjar_web_unauthenticated_total").increment(1);
                // A browser asks for name and password on `Basic`: wanted where people look without the console.
                let scheme =
                    if basic { "Basic realm=\"nightjar\", charset=\"UTF-8\"" } else { "Bearer realm=\"nightjar\"" };
                response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(scheme));
            }
            response
        }
    }
}

/// The order is what keeps one from standing in the way of others: nothing is read of somebody unknown, no
/// place is held while a body is awaited, and what is open and reads nothing needs no place at all, so that
/// the server can always say how it is.
async fn pass(shared: &Shared, mut request: Request, next: Next) -> Answer {
    let access = match request.extensions().get::<MatchedPath>() {
        Some(path) => shared.access.of(request.method(), path.as_str())?,
        // No route: the console's own paths are open, for it shows the login; all else tells strangers nothing.
        None if crate::console::is_console_path(request.uri().path()) => Access::Open,
        None => Access::SignedIn,
    };
    let reads_nothing = is_safe(request.method());
    if access == Access::Open && reads_nothing {
        return Ok(next.run(request).await);
    }
    let address = request.extensions().get::<Client>().and_then(|client| client.address);
    let connection = request.extensions().get::<Arc<Connection>>().cloned();
    let (_share, request) = if access == Access::Open {
        let request = receive(request, OPEN_BODY_BYTES, OPEN_BODY_WITHIN).await?;
        (shared.places.share(address)?, request)
    } else {
        let share = shared.places.share(address)?;
        let work = shared.places.work()?;
        admit(shared, access, &mut request).await?;
        drop(work);
        if !reads_nothing {
            request = receive(request, shared.config.body_limit_bytes, shared.config.body_timeout.0).await?;
        }
        (share, request)
    };
    let _work = shared.places.work()?;
    let protected = connection.map(|connection| Arc::new(connection.protect()));
    let mut response = next.run(request).await;
    if let (false, Some(protected)) = (access == Access::Open, protected) {
        // What somebody known is sent is work to its end, also on a slow link.
        response.extensions_mut().insert(protected);
    }
    Ok(response)
}

async fn admit(shared: &Shared, access: Access, request: &mut Request) -> Answer<()> {
    let (method, headers) = (request.method().clone(), request.headers().clone());
    if access == Access::Installer && is_installer(shared, &headers).await {
        return Ok(());
    }
    let address = request.extensions().get::<Client>().and_then(Client::text);
    let caller = authenticate(shared, &method, &headers, address).await?;
    authorise(shared, &caller, access, request).await?;
    request.extensions_mut().insert(caller);
    Ok(())
}

async fn authorise(shared: &Shared, caller: &Caller, access: Access, request: &mut Request) -> Answer<()> {
    let needed = match access {
        Access::Open | Access::SignedIn | Access::Installer => return Ok(()),
        Access::AnyAdmin if caller.principal.is_admin_anywhere() => return Ok(()),
        Access::AnyAdmin => {
            return Err(Failure::of(StatusCode::FORBIDDEN, "This needs the role admin in some workspace."));
        }
        Access::PlatformAdmin if caller.principal.platform_admin => return Ok(()),
        Access::PlatformAdmin => {
            return Err(Failure::of(StatusCode::FORBIDDEN, "Only an administrator of the platform may do this."));
        }
        Access::Role(role) => role,
    };
    let params = request.extract_parts::<RawPathParams>().await;
    let workspace =
        params.ok().and_then(|params| params.iter().find(|(key, _)| *key == "ws").map(|(_, v)| v.to_owned()));
    let Some(workspace) = workspace else {
        return Err(Failure::of(StatusCode::FORBIDDEN, "The path names no workspace."));
    };
    match caller.principal.role_in(&workspace) {
        None => Err(Failure::of(
            StatusCode::FORBIDDEN,
            format!("You have no role in the workspace `{workspace}`; an administrator can give you one."),
        )),
        Some(role) if role < needed => Err(Failure::of(
            StatusCode::FORBIDDEN,
            format!("This needs the role {} in `{workspace}`; yours is {}.", role_name(needed), role_name(role)),
        )),
        // Roles name workspaces that exist; an administrator of the platform may name any.
        Some(_)
            if caller.principal.platform_admin
                && !shared.services.resources.workspaces().await?.contains(&workspace) =>
        {
            Err(Failure::of(StatusCode::NOT_FOUND, format!("There is no workspace `{workspace}`.")))
        }
        Some(_) => Ok(()),
    }
}

async fn authenticate(
    shared: &Shared,
    method: &Method,
    headers: &HeaderMap,
    address: Option<String>,
) -> Answer<Caller> {
    let mut principal = if let Some(authorization) = headers.get(header::AUTHORIZATION) {
        let authorization = authorization.to_str().map_err(|_| unauthenticated())?;
        match authorization.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
                refused_as_unauthenticated(shared.services.identities.token(&Secret::new(token.trim())).await)?
            }
            Some((scheme, credentials)) if scheme.eq_ignore_ascii_case("basic") => {
                csrf::check_origin(method, headers)?;
                basic_principal(shared, credentials.trim(), address.as_deref()).await?
            }
            _ => return Err(Failure::of(StatusCode::UNAUTHORIZED, "Authorization must be Bearer or Basic.")),
        }
    } else if let Some(session) = session_cookie(headers) {
        csrf::check(method, headers)?;
        refused_as_unauthenticated(shared.services.identities.session(&session).await)?
    } else {
        return Err(unauthenticated());
    };
    principal.actor.address = address;
    Ok(Caller { principal })
}

/// A user's name and password, or anything and a token.
async fn basic_principal(shared: &Shared, credentials: &str, address: Option<&str>) -> Answer<Principal> {
    let decoded = STANDARD.decode(credentials).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let Some((name, password)) = decoded.as_deref().and_then(|text| text.split_once(':')) else {
        return Err(Failure::of(StatusCode::UNAUTHORIZED, "The Basic credentials cannot be read."));
    };
    let now = shared.services.clock.now();
    if let Some(known) = shared.passwords.get(name, password, now) {
        match shared.services.identities.renew(&known).await {
            Err(error) if error.kind == ErrorKind::Unauthenticated => shared.passwords.forget(name, password),
            renewed => return Ok(renewed?),
        }
    }
    let password = Secret::new(password);
    match shared.services.identities.token(&password).await {
        Err(error) if error.kind == ErrorKind::Unauthenticated || error.kind == ErrorKind::NotFound => {}
        answer => return Ok(answer?),
    }
    let generation = shared.passwords.generation();
    let principal = refused_as_unauthenticated(shared.services.identities.login(name, &password, address).await)?;
    shared.passwords.put(name, password.expose(), principal.clone(), now, generation);
    Ok(principal)
}

async fn is_installer(shared: &Shared, headers: &HeaderMap) -> bool {
    let token = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    match token {
        Some(token) => shared.services.registry.check_enrolment_token(&Secret::new(token.trim())).await.is_ok(),
        None => false,
    }
}

pub(crate) fn session_cookie(headers: &HeaderMap) -> Option<Secret> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, value)| *name == SESSION_COOKIE && !value.is_empty())
        .map(|(_, value)| Secret::new(value))
}

/// Whether `method` changes nothing.
fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// A credential that does not exist is a credential that does not hold.
fn refused_as_unauthenticated(answer: nightjar_model::Result<Principal>) -> Answer<Principal> {
    answer.map_err(|error| match error.kind {
        ErrorKind::NotFound => Failure::of(StatusCode::UNAUTHORIZED, error.message),
        _ => error.into(),
    })
}

fn unauthenticated() -> Failure {
    Failure::of(StatusCode::UNAUTHORIZED, "Log in, or send an API token as `Authorization: Bearer`.")
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::Viewer => "viewer",
        Role::Operator => "operator",
        Role::Editor => "editor",
        Role::Admin => "admin",
    }
}
