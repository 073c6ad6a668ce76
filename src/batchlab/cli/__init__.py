"""The command `batchlab`: each subcommand reads its options, calls one public function and prints."""
