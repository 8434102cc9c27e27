//! `GetItem` twice, `UpdateItem`.

fn main() -> std::process::ExitCode {
    limit::run(async |config| {
        let table = limit::Table::open(&config).await;
        async move || {
            table.get().await;
            table.get().await;
            table.update().await;
        }
    })
}
