// Two steps that need secrets, as a germline pipeline has them: one asks NCBI, one works with a licensed caller and a
// database. What each of them finds is published as SHA-256, so that a test can compare it and no file holds a value.

params.results = 'results'
params.wait_for = '' // a file that must be there before the second step ends: time to look at a running pipeline
params.fail = false

process FETCH {
    secret 'NCBI_API_KEY'
    publishDir params.results, mode: 'copy'

    output:
    path 'NCBI_API_KEY.sha256'

    script:
    '''
    [ -z "${ANNOTATION_DB_PASSWORD+set}" ] || { echo 'a secret that this step did not ask for'; exit 9; }
    printf %s "$NCBI_API_KEY" | sha256sum | cut -d ' ' -f 1 >NCBI_API_KEY.sha256
    '''
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
    [ -z "\${NCBI_API_KEY+set}" ] || { echo 'a secret that this step did not ask for'; exit 9; }
    printf %s "\$ANNOTATION_DB_PASSWORD" | sha256sum | cut -d ' ' -f 1 >ANNOTATION_DB_PASSWORD.sha256
    # Only a digest: what the configuration hands to a script stands in the script's file.
    echo ${task.ext.license.digest('SHA-256')} >SENTIEON_LICENSE_BASE64.sha256
    touch ${launchDir}/call-is-running
    until [ -z '${params.wait_for}' ] || [ -e '${params.wait_for}' ]; do sleep 0.2; done
    ${params.fail ? 'exit 3' : ''}
    """
}

workflow {
    CALL(FETCH())
}
