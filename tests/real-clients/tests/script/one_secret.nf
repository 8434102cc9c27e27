process TASK_NAME {
    secret 'NAME'
    publishDir 'found', mode: 'copy'

    output:
    path 'NAME'

    script:
    '''
    env -0 >NAME
    '''
}

