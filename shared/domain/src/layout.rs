use crate::names::names;

names! {
    /// How a run's secrets are laid out in AWS Secrets Manager.
    "layout" pub enum Layout {
        /// One copy per run, a JSON object of strings, in as many shards as it takes: for job definitions. Cheap.
        Bundle = "bundle",
        /// One copy per name, raw text, as Seqera Platform makes them: for tasks that read just the names they need.
        PerName = "per-name",
    }
}
