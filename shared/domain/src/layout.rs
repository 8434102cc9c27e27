use crate::names::names;

names! {
    /// The layout of a run's secrets in AWS Secrets Manager.
    "layout" pub enum Layout {
        /// One copy per run, as a JSON object of strings, in as many shards as needed. For job
        /// definitions. Cheap.
        Bundle = "bundle",
        /// One copy per name, as raw text, like the copies of Seqera Platform. For tasks that read
        /// only the secrets they need.
        PerName = "per-name",
        /// The copies of `Bundle`, and Nextflow's store for the head job, in as many fragments as
        /// needed. For the plugin, whose tasks have job definitions.
        Plugin = "plugin",
    }
}
