"""The gateway to Supabase, group commit, pages of rows, and migrations."""
