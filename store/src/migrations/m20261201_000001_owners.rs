//! Every token belongs to somebody. Of those that are there, who made them is written beside them; where
//! that was a token, its owner is theirs. Whom nobody can be found for stays without an owner.

use std::collections::HashMap;

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const API: &str = "api_tokens";
const ENROLMENT: &str = "enrolment_tokens";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [API, ENROLMENT] {
            for column in ["owner", "made_by"] {
                let column = ColumnDef::new(column).text().null().to_owned();
                manager.alter_table(Table::alter().table(table).add_column(column).to_owned()).await?;
            }
        }
        let db = manager.get_connection();
        let users: HashMap<String, i64> =
            rows(db, "users", ["name", "name"]).await?.into_iter().map(Row::user).collect();
        let api = rows(db, API, ["id", "name"]).await?;
        let enrolment = rows(db, ENROLMENT, ["id", "id"]).await?;
        let by_name: HashMap<&str, &Row> = api.iter().map(|row| (row.name.as_str(), row)).collect();
        for (table, rows) in [(API, &api), (ENROLMENT, &enrolment)] {
            for row in rows {
                let Some(owner) = owner(row, &users, &by_name) else { continue };
                let mut update = Query::update();
                update.table(table).value("owner", owner).and_where(Expr::col("id").eq(row.id.as_str()));
                if let Some(maker) = maker(row, &by_name) {
                    update.value("made_by", maker.id.as_str());
                }
                db.execute(&update).await?;
            }
        }
        Ok(())
    }
}

struct Row {
    id: String,
    name: String,
    created_by: String,
    created_at: i64,
}

impl Row {
    fn user(self) -> (String, i64) {
        (self.name, self.created_at)
    }
}

async fn rows(
    db: &SchemaManagerConnection<'_>,
    table: &'static str,
    [id, name]: [&'static str; 2],
) -> Result<Vec<Row>, DbErr> {
    let mut select = Query::select();
    select.from(table).expr_as(Expr::col(id), "id").expr_as(Expr::col(name), "name").column("created_at");
    match table {
        // Who made a user does not matter.
        "users" => select.expr_as(Expr::val(""), "created_by"),
        _ => select.column("created_by"),
    };
    let found = db.query_all(&select).await?;
    found
        .iter()
        .map(|row| {
            Ok(Row {
                id: row.try_get("", "id")?,
                name: row.try_get("", "name")?,
                created_by: row.try_get("", "created_by")?,
                created_at: row.try_get("", "created_at")?,
            })
        })
        .collect()
}

/// The token that made this one. One of the name that is younger is another.
fn maker<'a>(row: &Row, by_name: &HashMap<&str, &'a Row>) -> Option<&'a Row> {
    let maker = by_name.get(row.created_by.strip_prefix("token:")?)?;
    (maker.created_at <= row.created_at && maker.id != row.id).then_some(*maker)
}

fn owner(row: &Row, users: &HashMap<String, i64>, by_name: &HashMap<&str, &Row>) -> Option<String> {
    let mut row = row;
    // Longer than any chain that does not bite its tail.
    for _ in 0..=by_name.len() {
        if row.created_by == "system" {
            return Some("system".to_owned());
        }
        if let Some(user) = row.created_by.strip_prefix("user:") {
            return users.get(user).filter(|since| **since <= row.created_at).map(|_| row.created_by.clone());
        }
        row = maker(row, by_name)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(name: &str, created_by: &str, created_at: i64) -> Row {
        Row { id: format!("id-{name}"), name: name.into(), created_by: created_by.into(), created_at }
    }

    #[test]
    fn owners_are_found_through_those_who_made_them() {
        let users = HashMap::from([("alice".to_owned(), 10), ("carol".to_owned(), 50)]);
        let tokens = [
            token("ci", "user:alice", 20),
            token("of-ci", "token:ci", 30),
            token("of-of-ci", "token:of-ci", 31),
            // Made by another `ci`, which is gone.
            token("before-ci", "token:ci", 19),
            token("of-gone", "token:gone", 30),
            // Carol is new; another of her name made it.
            token("of-old-carol", "user:carol", 49),
            token("bootstrap", "system", 1),
            token("of-bootstrap", "token:bootstrap", 2),
            token("a", "token:b", 3),
            token("b", "token:a", 3),
        ];
        let by_name = tokens.iter().map(|row| (row.name.as_str(), row)).collect();
        let owners: Vec<_> = tokens.iter().map(|row| owner(row, &users, &by_name)).collect();
        let owners: Vec<&str> = owners.iter().map(|owner| owner.as_deref().unwrap_or("-")).collect();
        assert_eq!(owners, ["user:alice", "user:alice", "user:alice", "-", "-", "-", "system", "system", "-", "-"]);
        assert_eq!(maker(&tokens[2], &by_name).map(|row| row.id.as_str()), Some("id-of-ci"));
        assert!(maker(&tokens[3], &by_name).is_none());
    }
}
