// Two steps that need secrets, like in a germline pipeline: one for NCBI, one for a licensed caller
// and a database. Each publishes the SHA-256 of its values, so that a test can compare them and no
// file contains a value.

params.results = 'results'
params.wait_for = '' // the second step waits for this file, so that tests can inspect a running pipeline
params.fail = false
params.step = '' // starts a command of the first task: srun, for example

process FETCH {
    secret 'NCBI_API_KEY'
    publishDir params.results, mode: 'copy'

    output:
    path 'NCBI_API_KEY.sha256'

    script:
    """
    [ -z "\${ANNOTATION_DB_PASSWORD+set}" ] || { echo 'a secret that this step does not declare'; exit 9; }
    ${params.step} sh -c 'printf %s "\$NCBI_API_KEY"' | sha256sum | cut -d ' ' -f 1 >NCBI_API_KEY.sha256
    """
}

process CALL {
    secret 'ANNOTATION_DB_PASSWORD'
    publishDir params.results, mode: 'copy'

    input:
    path fetched

    output:
    path '*.sha256', includeInputs: false

    script:
    """
    [ -z "\${NCBI_API_KEY+set}" ] || { echo 'a secret that this step does not declare'; exit 9; }
    printf %s "\$ANNOTATION_DB_PASSWORD" | sha256sum | cut -d ' ' -f 1 >ANNOTATION_DB_PASSWORD.sha256
    # Only a digest: Nextflow writes values from the configuration into the script's file.
    echo ${task.ext.license.digest('SHA-256')} >SENTIEON_LICENSE_BASE64.sha256
    touch ${launchDir}/call-is-running
    until [ -z '${params.wait_for}' ] || [ -e '${params.wait_for}' ]; do sleep 0.2; done
    ${params.fail ? 'exit 3' : ''}
    """
}

workflow {
    CALL(FETCH())
}
