"""How much each rule, branch, channel and source says a day, and which of them say too little or too much."""
