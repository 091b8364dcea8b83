//! The store through its ports: every case runs on SQLite, and on a PostgreSQL that the test starts.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

mod alerts;
mod bed;
mod documents;
mod durability;
mod enrolment;
mod people;
mod postgres;
mod pruning;
mod secrets;

use bed::Bed;

macro_rules! cases {
    ($($room:ident :: $case:ident,)+) => {
        mod sqlite {
            use super::*;

            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                $room::$case(Bed::sqlite().await).await;
            })+
        }

        /// The same cases, one after the other, each in a database of its own.
        #[test]
        fn on_postgresql() {
            let Some(server) = postgres::Server::start() else {
                println!("skipped: no PostgreSQL binaries in /usr/lib/postgresql/*/bin");
                return;
            };
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            $({
                println!("on PostgreSQL: {}::{}", stringify!($room), stringify!($case));
                runtime.block_on(async { $room::$case(Bed::postgres(&server, stringify!($case)).await).await });
            })+
        }
    };
}

cases! {
    documents::writes_are_told_and_kept,
    documents::nothing_is_written_of_a_bad_request,
    documents::documents_of_one_request_see_each_other,
    documents::a_monitor_cannot_change_under_its_rules,
    documents::what_is_referred_to_cannot_be_deleted,
    documents::stale_writes_are_refused,
    documents::one_of_many_racing_writers_wins,
    documents::racing_deletes_and_references_leave_none_dangling,
    documents::a_dry_run_changes_nothing,
    documents::old_versions_come_back,
    documents::versions_are_bounded,
    documents::listings_filter_and_page,
    documents::workspaces_keep_apart,
    secrets::the_mask_keeps_what_is_stored,
    secrets::a_kept_secret_goes_nowhere_else,
    secrets::versions_keep_their_secrets,
    secrets::no_secret_lies_about,
    people::the_first_start_makes_an_administrator,
    people::the_bootstrap_token_is_an_administrator,
    people::guessing_passwords_gets_slow,
    people::sessions_slide_and_end,
    people::no_session_outlasts_the_limit,
    people::losing_trust_ends_sessions,
    people::there_is_always_an_administrator,
    people::two_administrators_cannot_delete_each_other,
    people::users_are_checked,
    people::tokens_end_with_the_user_who_made_them,
    people::tokens_may_what_their_owner_may,
    people::a_user_takes_along_what_their_tokens_made,
    people::a_token_takes_along_what_it_made,
    people::what_was_proved_holds_until_the_password_changes,
    people::tokens_live_and_die,
    enrolment::agents_come_and_go,
    enrolment::tokens_run_out,
    enrolment::no_use_of_a_token_counts_twice,
    alerts::a_commit_comes_back_whole,
    alerts::a_failing_commit_leaves_nothing,
    alerts::a_notification_is_made_once,
    alerts::due_notifications_come_oldest_first,
    alerts::due_notifications_are_told_by_receiver,
    alerts::listings_filter_and_page_alerts,
    alerts::events_are_paged,
    alerts::workspaces_do_not_see_each_others_alerts,
    alerts::history_is_pruned,
    pruning::the_old_goes_and_the_new_stays,
    durability::all_is_there_after_reopening,
}
