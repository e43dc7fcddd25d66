"""Job arguments, the console command, summaries."""
