//! `Query` six times, `ListSecrets`, `GetItem`.

fn main() -> std::process::ExitCode {
    limit::run(async |config| {
        let table = limit::Table::open(&config).await;
        let target = limit::Target::new(&config);
        async move || {
            table.query_partition("REMOVED#SCOPES").await;
            let due = |shard| table.query_due(shard);
            tokio::join!(due("DUE#0"), due("DUE#1"), due("DUE#2"), due("DUE#3"));
            target.list().await;
            table.get().await;
            table.query_partition("ENVIRONMENTS").await;
        }
    })
}
