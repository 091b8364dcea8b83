//! The API's own description, generated from the routes.

use axum::Router;
use nightjar_model::{Kind, Metadata};
use serde_json::json;
use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaType, Type};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{Content, OpenApi, Ref, RefOr, Response, Tag};
use utoipa::{PartialSchema, ToSchema};
use utoipa_axum::router::OpenApiRouter;

use crate::auth::{Access, SESSION_COOKIE};
use crate::problem::{PROBLEM_JSON, ProblemDocument};

const ABOUT: &str = "Everything configurable is a document: kind, metadata, spec. Writes are checked whole, \
and refused with every problem and its path. Authenticate with `Authorization: Bearer <token>`, with Basic (name and \
password, or a token as the password), or with the console's session cookie (writes then need `X-Nightjar-Csrf: 1`). \
Errors are problem documents (RFC 9457). Each operation's `x-nightjar-access` says who may use it.";

const TAGS: [(&str, &str); 9] = [
    ("session", "Logging in and out"),
    ("documents", "The documents of a workspace, one kind to a path"),
    ("workspaces", "Workspaces, and all their documents together"),
    ("figures", "What was counted"),
    ("lab", "Trying a monitor before it is saved"),
    ("agents", "The fleet"),
    ("alerts", "Alerts and what was sent about them"),
    ("people", "Users and tokens"),
    ("server", "The server itself"),
];

/// The OpenAPI document, for the console's generated types and for `nightjar` itself.
pub fn openapi() -> OpenApi {
    complete(crate::api::routes(), env!("CARGO_PKG_VERSION")).1
}

/// Splits the routes from their description, and adds to it what holds for all of them.
pub(crate) fn complete<S: Clone + Send + Sync + 'static>(
    routes: OpenApiRouter<S>,
    version: &str,
) -> (Router<S>, OpenApi) {
    let (router, mut document) = routes.split_for_parts();
    document.info.title = "Nightjar".into();
    document.info.version = version.to_owned();
    document.info.description = Some(ABOUT.into());
    document.info.license = None;
    document.info.contact = None;
    document.tags = Some(
        TAGS.into_iter()
            .map(|(name, description)| {
                let mut tag = Tag::new(name);
                tag.description = Some(description.to_owned());
                tag
            })
            .collect(),
    );
    add_components(&mut document);
    for item in document.paths.paths.values_mut() {
        for operation in [&mut item.get, &mut item.put, &mut item.post, &mut item.delete].into_iter().flatten() {
            finish(operation);
        }
    }
    (router, document)
}

fn add_components(document: &mut OpenApi) {
    let components = document.components.get_or_insert_default();
    let mut schemas = vec![("Problems".to_owned(), ProblemDocument::schema())];
    ProblemDocument::schemas(&mut schemas);
    for kind in Kind::ALL {
        schemas.push((kind.name().to_owned(), document_schema(kind)));
        let (name, schema, nested) = spec_schema(kind);
        schemas.push((name, schema));
        schemas.extend(nested);
    }
    schemas.push(("Metadata".to_owned(), Metadata::schema()));
    Metadata::schemas(&mut schemas);
    schemas.push(("Document".to_owned(), any_document()));
    components.schemas.extend(schemas);
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    let basic = HttpBuilder::new().scheme(HttpAuthScheme::Basic).build();
    let cookie = SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new(SESSION_COOKIE)));
    components.security_schemes.extend([
        ("bearer".to_owned(), SecurityScheme::Http(bearer)),
        ("basic".to_owned(), SecurityScheme::Http(basic)),
        ("session".to_owned(), cookie),
    ]);
}

/// Each operation can be refused, and needs somebody known unless it is open to all.
fn finish(operation: &mut Operation) {
    let mut problem = Response::new("A problem document");
    problem.content.insert(PROBLEM_JSON.into(), Content::new(Some(Ref::from_schema_name("Problems"))));
    operation.responses.responses.entry("default".to_owned()).or_insert(RefOr::T(problem));
    operation.security = Some(match Access::of_operation(operation) {
        Some(Access::Open) => Vec::new(),
        _ => ["bearer", "basic", "session"].map(|name| SecurityRequirement::new(name, Vec::<String>::new())).into(),
    });
}

fn document_schema(kind: Kind) -> RefOr<Schema> {
    ObjectBuilder::new()
        .property("kind", ObjectBuilder::new().schema_type(Type::String).enum_values(Some([kind.name()])))
        .property("metadata", Ref::from_schema_name("Metadata"))
        .property("spec", Ref::from_schema_name(spec_schema(kind).0))
        .required("kind")
        .required("metadata")
        .required("spec")
        .into()
}

fn any_document() -> RefOr<Schema> {
    let mut any = utoipa::openapi::schema::OneOf::new();
    any.items = Kind::ALL.map(|kind| Ref::from_schema_name(kind.name()).into()).into();
    any.discriminator = Some(utoipa::openapi::schema::Discriminator::new("kind"));
    RefOr::T(Schema::OneOf(any))
}

type Named = (String, RefOr<Schema>);

/// Name and schema of what stands under `spec`, and of all that this refers to.
fn spec_schema(kind: Kind) -> (String, RefOr<Schema>, Vec<Named>) {
    fn of<T: ToSchema>() -> (String, RefOr<Schema>, Vec<Named>) {
        let mut nested = Vec::new();
        T::schemas(&mut nested);
        (T::name().into_owned(), T::schema(), nested)
    }
    use nightjar_model::kinds::{
        alert_rule::AlertRuleSpec, contact::ContactGroupSpec, contact::ContactSpec, dingtalk_robot::DingtalkRobotSpec,
        email_server::EmailServerSpec, monitor::MonitorSpec, subscription::SubscriptionSpec, webhook::WebhookSpec,
    };
    match kind {
        Kind::Monitor => of::<MonitorSpec>(),
        Kind::AlertRule => of::<AlertRuleSpec>(),
        Kind::Contact => of::<ContactSpec>(),
        Kind::ContactGroup => of::<ContactGroupSpec>(),
        Kind::DingtalkRobot => of::<DingtalkRobotSpec>(),
        Kind::Webhook => of::<WebhookSpec>(),
        Kind::EmailServer => of::<EmailServerSpec>(),
        Kind::Subscription => of::<SubscriptionSpec>(),
    }
}

/// The schema of `{items: [schema], next}`.
pub(crate) fn page_of(name: &str) -> Schema {
    let next = ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
        .description(Some("The cursor of the next page; null at the end."));
    ObjectBuilder::new()
        .property("items", utoipa::openapi::schema::ArrayBuilder::new().items(Ref::from_schema_name(name)))
        .property("next", next)
        .required("items")
        .into()
}

/// Extensions of an operation built by hand.
pub(crate) fn access(who: &str) -> utoipa::openapi::extensions::Extensions {
    [(crate::auth::ACCESS_EXTENSION, json!(who))].into_iter().collect()
}
