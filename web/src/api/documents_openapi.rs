//! The description of the routes in [`documents`](super::documents): built by hand, once for all
//! kinds, with the schema of each.

use nightjar_model::Kind;
use utoipa::openapi::path::{HttpMethod, Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{Content, OpenApi, Ref, RefOr, Required, Response, Schema};

use crate::body::YAML;
use crate::openapi::{access, page_of};

pub(super) fn describe(document: &mut OpenApi) {
    for kind in Kind::ALL {
        let base = format!("/api/v1/workspaces/{{ws}}/{}", kind.plural());
        let one = format!("{base}/{{name}}");
        let mut add = |path: &str, method: HttpMethod, operation: OperationBuilder| {
            let mut operation: Operation = operation.tag("documents").build();
            let id = operation.summary.clone().unwrap_or_default().to_lowercase().replace([' ', '-'], "_");
            operation.operation_id = Some(format!("{}_{id}", kind.name()));
            let params = operation.parameters.get_or_insert_default();
            params.insert(0, text("ws", ParameterIn::Path, "Workspace"));
            document.paths.add_path_operation(path, vec![method], operation);
        };
        add(&base, HttpMethod::Get, list(kind));
        add(
            &one,
            HttpMethod::Get,
            named(kind, "Show", "viewer").response("200", answer("The document; its version is the ETag", kind)),
        );
        add(&one, HttpMethod::Put, put(kind));
        add(&one, HttpMethod::Delete, delete(kind));
        add(&format!("{one}/versions"), HttpMethod::Get, versions(kind));
        add(&format!("{one}/restore"), HttpMethod::Post, restore(kind));
    }
}

fn list(kind: Kind) -> OperationBuilder {
    let built_in = typed("builtIn", Type::Boolean, "Also the monitors that every workspace has: `_faults`, `_intake`");
    let list = OperationBuilder::new()
        .summary(Some("List"))
        .extensions(Some(access("viewer")))
        .parameter(text("folder", ParameterIn::Query, "The folder and those under it"))
        .parameter(text("label", ParameterIn::Query, "`key=value`; may be repeated"))
        .parameter(text("q", ParameterIn::Query, "Part of the name or display name"))
        .parameter(typed("limit", Type::Integer, "From 1 to 1000; 100 without it"))
        .parameter(text("cursor", ParameterIn::Query, "`next` of the page before"))
        .response("200", content("A page", page_of(kind.name()).into()));
    if kind == Kind::Monitor { list.parameter(built_in) } else { list }
}

fn put(kind: Kind) -> OperationBuilder {
    let body = RequestBodyBuilder::new()
        .required(Some(Required::True))
        .content("application/json", Content::new(Some(Ref::from_schema_name(kind.name()))))
        .content(YAML, Content::new(Some(Ref::from_schema_name(kind.name()))))
        .build();
    named(kind, "Put", "editor")
        .description(Some("Creates or replaces. `X-Nightjar-Outcome` says created, updated or unchanged."))
        .parameter(dry_run())
        .parameter(text("If-Match", ParameterIn::Header, "The version that was read; another one is 412"))
        .parameter(text("If-None-Match", ParameterIn::Header, "`*`: it must not exist yet"))
        .request_body(Some(body))
        .response("200", answer("Replaced, or as it was", kind))
        .response("201", answer("Created", kind))
}

fn delete(kind: Kind) -> OperationBuilder {
    named(kind, "Delete", "editor")
        .description(Some("Refused with 409, naming them, while others refer to it."))
        .parameter(dry_run())
        .parameter(text("If-Match", ParameterIn::Header, "The version that was read; another one is 412"))
        .response("204", Response::new("Deleted"))
}

fn versions(kind: Kind) -> OperationBuilder {
    named(kind, "Versions", "viewer").response("200", content("Newest first", page_of(kind.name()).into()))
}

fn restore(kind: Kind) -> OperationBuilder {
    named(kind, "Restore", "editor")
        .description(Some("Makes an old version the newest; brings back what was deleted, too."))
        .parameter(ParameterBuilder::from(typed("version", Type::Integer, "Which")).required(Required::True))
        .response("200", answer("The document as it is now", kind))
}

fn named(kind: Kind, summary: &str, who: &str) -> OperationBuilder {
    OperationBuilder::new().summary(Some(summary)).extensions(Some(access(who))).parameter(text(
        "name",
        ParameterIn::Path,
        &format!("Name of the {kind}"),
    ))
}

fn answer(description: &str, kind: Kind) -> Response {
    content(description, Ref::from_schema_name(kind.name()).into())
}

fn content(description: &str, schema: RefOr<Schema>) -> Response {
    let mut response = Response::new(description);
    for media_type in ["application/json", YAML] {
        response.content.insert(media_type.into(), Content::new(Some(schema.clone())));
    }
    response
}

fn dry_run() -> Parameter {
    typed("dryRun", Type::Boolean, "Validate and answer, change nothing")
}

fn text(name: &str, place: ParameterIn, description: &str) -> Parameter {
    let required = if place == ParameterIn::Path { Required::True } else { Required::False };
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(required)
        .description(Some(description))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
        .build()
}

fn typed(name: &str, kind: Type, description: &str) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Query)
        .required(Required::False)
        .description(Some(description))
        .schema(Some(ObjectBuilder::new().schema_type(kind)))
        .build()
}
