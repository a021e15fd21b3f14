"""The only code that talks to Supabase; one module a resource."""
