echo db
