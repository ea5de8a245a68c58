/**
 * Among REAPI's `inline_output_files`: all of them, whatever their names, which who asks mostly does not know. recue's server
 * understands it; for others it is the name of a file that is not there.
 */
export const ALL_OUTPUT_FILES = '*'
