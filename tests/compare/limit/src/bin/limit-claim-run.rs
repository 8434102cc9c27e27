//! `GetItem` twice, `BatchGetItem` three times, `TransactWriteItems`, `Decrypt`, `PutEvents`.

use limit::{Bus, Keys, Table};

fn main() -> std::process::ExitCode {
    limit::run(async |config| {
        let (table, keys) = (Table::open(&config).await, Keys::open(&config).await);
        let bus = Bus::new(&config);
        async move || {
            table.get().await;
            tokio::join!(table.get(), table.batch_get(), table.batch_get(), table.batch_get());
            table.transact(3).await;
            keys.decrypt().await;
            bus.put().await;
        }
    })
}
