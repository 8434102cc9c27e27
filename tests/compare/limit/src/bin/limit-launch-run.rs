//! `BatchGetItem`, `Query` three times, `TransactWriteItems`, `BatchGetItem`, `Decrypt`,
//! `CreateSecret`, `TransactWriteItems`, `PutEvents`.

use limit::{Bus, Keys, Table, Target};

fn main() -> std::process::ExitCode {
    limit::run(async |config| {
        let (table, keys) = (Table::open(&config).await, Keys::open(&config).await);
        let (target, bus) = (Target::new(&config), Bus::new(&config));
        async move || {
            table.batch_get().await;
            tokio::join!(table.query(), table.query(), table.query_live());
            table.transact(4).await;
            table.batch_get().await;
            keys.decrypt().await;
            target.create().await;
            table.transact(2).await;
            bus.put().await;
        }
    })
}
