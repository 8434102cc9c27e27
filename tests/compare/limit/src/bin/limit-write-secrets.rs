//! `GetItem`, `GenerateDataKey`, `TransactWriteItems`.

fn main() -> std::process::ExitCode {
    limit::run(async |config| {
        let table = limit::Table::open(&config).await;
        let keys = limit::Keys::open(&config).await;
        async move || {
            table.get().await;
            keys.generate().await;
            table.transact(6).await;
        }
    })
}
